"""LitServe: `python litserve_photo.py PORT WORKERS`"""

import sys

import litserve
import photo


class Photo(litserve.LitAPI):
    def setup(self, device):
        self.session = photo.opened()

    def decode_request(self, request):
        return request["content"].file.read()

    def predict(self, content):
        return photo.answer(self.session, content)

    def encode_response(self, output):
        return {"probabilities": output}


if __name__ == "__main__":
    server = litserve.LitServer(Photo(), accelerator="cpu", workers_per_device=int(sys.argv[2]))
    server.run(port=int(sys.argv[1]), host="127.0.0.1", generate_client_file=False, log_level="warning")
