"""Save the model as `mlflow models serve` takes it: `python mlflow_save.py FOLDER`"""

import base64
import sys

import mlflow.pyfunc


class Photo(mlflow.pyfunc.PythonModel):
    """A photo in base64 -> probabilities."""

    def load_context(self, context):
        import photo

        self.session = photo.opened()

    def predict(self, context, model_input, params=None):
        import photo

        return [photo.answer(self.session, base64.b64decode(each)) for each in model_input["photo"]]


mlflow.pyfunc.save_model(sys.argv[1], python_model=Photo(), code_paths=["photo.py"])
