# A host that serves and follows the tags: docker compose --profile serve up. Not built with an engine yet.
# The project is mounted, not copied: what answers is what its tags and deployments/ say.
FROM python:3.13-slim

RUN apt-get update && apt-get install --yes --no-install-recommends git libgomp1 && rm -rf /var/lib/apt/lists/*
COPY requirements-serve.lock pyproject.toml README.md LICENSE /gaia/
# the tests that packages bring along are 78 MB
RUN pip install --no-cache-dir --no-compile --no-deps --require-hashes --requirement /gaia/requirements-serve.lock \
    && find /usr/local/lib/python3*/site-packages -type d -path '*/tests' -prune -exec rm -r {} +
COPY src /gaia/src
ENV PYTHONPATH=/gaia/src PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
# the user that the mounted project belongs to (GAIA_USER in docker-compose.yml); Git trusts that folder alone
RUN git config --system safe.directory /project
USER 1000:1000
WORKDIR /project
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health', timeout=2)"]
CMD ["python", "-m", "gaia", "serve", "--host", "0.0.0.0", "--follow"]
