"""AWS: regions, keys that end, the ways by which its own libraries find keys, a bucket in the host's name.

It is moto that answers, as https://s3.eu-central-1.amazonaws.com by a proxy and an authority of the test's own. What it
can't say is in docs/cli.md.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

from authority import Authority, Front, in_front, program
from conftest import ROOT, Project, free_ports
from gaia.storage import errors, remotes
from gaia.storage.checks import server_checks
from gaia.storage.errors import Refused, StorageError
from gaia.storage.s3 import chain, settings
from gaia.storage.s3.client import S3Client
from gaia.storage.servers import server

REGION = "eu-central-1"
ENDPOINT = f"https://s3.{REGION}.amazonaws.com"
HOSTS = [f"{service}.{region}.amazonaws.com" for region in (REGION, "us-east-1") for service in ("s3", "*.s3", "sts")]
OWN = {"S3_ACCESS_KEY": "AKIAOWN", "S3_SECRET_KEY": "s", "S3_SESSION_TOKEN": "a-token"}
ROLE = "arn:aws:iam::123456789012:role/plants"
FROM_A_FILE = "AKIAFILE"


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    port, authority = free_ports(), Authority(tmp_path_factory.mktemp("authority"))
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    moto.start()
    with in_front(port, authority.certificate(*HOSTS)) as front:
        front.about.update(authority=str(authority.file), moto=f"http://127.0.0.1:{port}")
        yield front
    moto.stop()


@pytest.fixture
def project(aws: Front, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with a file for the bucket `data`, in a shell that reaches AWS by a company's proxy, and a HOME with
    profiles."""
    for name in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    home = tmp_path / ".aws"
    home.mkdir()
    key = f"aws_access_key_id = {FROM_A_FILE}\naws_secret_access_key = s\n"
    (home / "credentials").write_text(f"[work]\n{key}")
    profiles = {
        "work": "region = ap-south-1\n",
        "role": f"source_profile = work\nrole_arn = {ROLE}\n",
        "sso": "sso_start_url = https://x.awsapps.com/start\nsso_region = us-east-1\nsso_account_id = 123456789012\n"
        "sso_role_name = plants\n",
    }
    (home / "config").write_text("".join(f"[profile {name}]\n{text}" for name, text in profiles.items()))
    (tmp_path / "token").write_text("eyJ.a.web-identity")
    project = Project.empty(tmp_path / "project")
    project.path(".dvc").mkdir()
    for name in (".dvc/config", ".dvc/.gitignore", ".gitignore"):
        shutil.copy(ROOT / name, project.path(name))
    project.path("x").write_text(f"{tmp_path}")  # of this test alone
    for name in ("params.yaml", "dvc.yaml"):  # by which gaia knows a project
        project.path(name).write_text("{}\n")
    project.path("x.dvc").write_text("outs:\n- {path: x, remote: data}\n")
    project.run("dvc", "commit", "--force", "--quiet")
    shell = {"HOME": str(tmp_path), "HTTPS_PROXY": f"http://127.0.0.1:{aws.proxy}"}
    shell |= {"AWS_CA_BUNDLE": aws.about["authority"], "AWS_EC2_METADATA_DISABLED": "true"}
    for name, value in shell.items():
        monkeypatch.setenv(name, value)
        project.environment[name] = value
    chain._found.cache_clear()
    aws.asked.clear()
    return project


def up(project: Project, **given: str) -> settings.Settings:
    """`gaia storage up` with buckets of the test's own."""
    mine = re.sub("[^a-z0-9]+", "-", project.root.parent.name.lower()).strip("-")[-30:].strip("-")
    names = {f"S3_BUCKET_{kind}": f"{mine}-{kind.lower()}" for kind in ("MODELS", "IMAGES", "DATA")}
    project.path(".env").write_text("".join(f"{key}={value}\n" for key, value in ({**names, **given}).items()))
    server.up(project.root)
    return settings.read(project.root)


def keys(aws: Front) -> set[str]:
    """The access keys with which S3 was asked."""
    return {key.decode() for key in re.findall(rb"Credential=([A-Za-z0-9-]+)/\d+/[a-z0-9-]+/s3/", aws.asked)}


@pytest.mark.parametrize(("region", "place"), [(REGION, REGION), ("us-east-1", None)])
def test_a_bucket_is_made_in_the_region_that_the_endpoint_names(
    project: Project, aws: Front, region: str, place: str | None
) -> None:
    at = up(project, S3_ENDPOINT=f"https://s3.{region}.amazonaws.com", **OWN)
    assert at.region == region
    found = S3Client(at)._s3.get_bucket_location(Bucket=at.buckets["data"])
    assert found["LocationConstraint"] == place


def test_a_bucket_is_in_the_hosts_name_and_the_token_in_each_request(project: Project, aws: Front) -> None:
    at = up(project, S3_ENDPOINT=ENDPOINT, **OWN)
    project.commit()
    project.run("gaia", "push")
    shutil.rmtree(project.path(".dvc/cache"))
    project.run("dvc", "fetch")
    link = S3Client(at).get_presigned_url(at.buckets["data"], next(S3Client(at).list_objects(at.buckets["data"])).key)
    assert link.startswith(at.bucket_url(at.buckets["data"]) + "/files/md5/")
    assert "X-Amz-Security-Token=a-token" in link
    scratch = server_checks.Scratch(S3Client(at), at.buckets["data"], "checks/", project.root)
    assert server_checks._status(link, scratch) == 200
    heads = re.findall(rb"(?:GET|PUT|HEAD) (\S+) HTTP/1.1\r\n(.*?)\r\n\r\n", aws.asked, re.DOTALL)
    assert len(heads) > 10
    for path, fields in heads:
        assert b"a-token" in fields or "X-Amz-Security-Token=a-token" in path.decode()
        assert path in (b"/", b"/?x-id=ListBuckets") or f"ost: {at.buckets['data'][:-5]}".encode() in fields, path


WAYS: dict[str, tuple[dict[str, str], dict[str, str], str]] = {
    "a profile": ({"S3_PROFILE": "work"}, {}, FROM_A_FILE),
    "a profile's role": ({"S3_PROFILE": "role"}, {}, "ASIA"),
    "variables": ({}, {"AWS_ACCESS_KEY_ID": "AKIASHELL", "AWS_SECRET_ACCESS_KEY": "s"}, "AKIASHELL"),
    "a web identity": ({}, {"AWS_ROLE_ARN": ROLE, "AWS_WEB_IDENTITY_TOKEN_FILE": "{home}/token"}, "ASIA"),
    "an instance": (
        {}, {"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": "{moto}"}, "test-key",
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_keys_are_found_as_awss_own_libraries_find_them(
    project: Project, aws: Front, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """By gaia's client, and by the DVC that a verb or a hook starts; no key is written anywhere."""
    given, shell, key = WAYS[way]
    for name, value in shell.items():
        monkeypatch.setenv(name, value.format(home=project.root.parent, moto=aws.about["moto"]))
        project.environment[name] = os.environ[name]
    at = up(project, S3_ENDPOINT=ENDPOINT, **given)
    assert (at.chain, at.region) == (True, REGION)
    assert remotes.agree(at, project.root)
    assert "access_key" not in project.path(".dvc/config.local").read_text()
    assert not project.path(remotes.PROFILE).exists()
    by_gaia = keys(aws)
    aws.asked.clear()
    hostile = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_USE_FIPS_ENDPOINT": "true", "AWS_REGION": "nowhere"}
    project.environment |= hostile
    project.run("sh", "-ec", f". '{ROOT}/.githooks/environment'; dvc push")
    assert S3Client(at).object_exists(at.buckets["data"], next(S3Client(at).list_objects(at.buckets["data"])).key)
    assert len(by_gaia) == 1 and all(found.startswith(key) for found in by_gaia | keys(aws)), (by_gaia, keys(aws))
    verb = "import json; from gaia.storage import remotes; print(json.dumps(remotes.environment()))"
    heard = json.loads(project.run(sys.executable, "-c", verb).stdout)
    assert heard.keys() & hostile.keys() == set() and shell.keys() <= heard.keys()


def test_a_profile_alone_means_aws_and_keys_of_ones_own_come_first(tmp_path: Path) -> None:
    for text, endpoint, by_chain in (
        ("S3_PROFILE=work\nS3_REGION=eu-west-3", "https://s3.eu-west-3.amazonaws.com", True),
        ("S3_PROFILE=work\nS3_REGION=cn-north-1", "https://s3.cn-north-1.amazonaws.com.cn", True),
        ("S3_PROFILE=work\nS3_ENDPOINT=https://s3.example.org", "https://s3.example.org", True),
        ("S3_PROFILE=work\nS3_ACCESS_KEY=a\nS3_SECRET_KEY=b", "http://127.0.0.1:9000", False),
        (f"S3_ENDPOINT={ENDPOINT}\nS3_ACCESS_KEY=a\nS3_SECRET_KEY=b", ENDPOINT, False),
    ):
        (tmp_path / ".env").write_text(text)
        at = settings.read(tmp_path)
        assert (at.endpoint, at.chain) == (endpoint, by_chain)
        (tmp_path / ".env").write_text("".join(f"{k}={v}\n" for k, v in settings.variables(at).items()))
        assert settings.read(tmp_path) == at


def test_keys_that_end_are_renewed_in_a_process_that_goes_on(project: Project, aws: Front) -> None:
    """A server's, or a long push's: one client, asked before and after."""
    count = project.path("count")
    count.write_text("")
    end = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()  # botocore renews what ends in ten minutes
    script = project.path("process.py")
    script.write_text(
        f"import json\nwith open({str(count)!r}, 'a') as f: f.write('x')\nn = len(open({str(count)!r}).read())\n"
        f"print(json.dumps({{'Version': 1, 'AccessKeyId': f'AKIA{{n}}', 'SecretAccessKey': 's', 'SessionToken': 't',"
        f" 'Expiration': {end!r}}}))\n"
    )
    with (project.root.parent / ".aws/config").open("a") as config:
        config.write(f"[profile ends]\ncredential_process = {sys.executable} {script}\n")
    at = up(project, S3_ENDPOINT=ENDPOINT, S3_PROFILE="ends")
    assert len(keys(aws)) > 2
    first, second = settings.credentials(at), settings.credentials(at)
    assert first.token == "t" and first.access_key != second.access_key
    assert "AKIA" not in repr(first)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"S3_PROFILE": "wrok"},
            r"the profile 'wrok' \(S3_PROFILE\) gives no keys: .*; `aws configure --profile wrok`",
        ),
        ({"S3_PROFILE": "sso"}, r"the profile 'sso' .* gives no keys: .*; `aws sso login --profile sso` gets new ones"),
        (
            {},
            r"S3_ACCESS_KEY is not set, and AWS's usual chain of profiles and roles has no keys; `aws configure` sets",
        ),
    ],
)
def test_a_chain_without_keys_is_a_sentence(project: Project, given: dict[str, str], said: str) -> None:
    with pytest.raises(Refused, match=said):
        up(project, S3_ENDPOINT=ENDPOINT, **given)
    assert not settings.keys(project.root)  # none is made for AWS


ANSWERS = {
    "another region": (
        (400, {"Code": "AuthorizationHeaderMalformed", "Region": "eu-west-3"}, {}, "plants"),
        "refuses S3_REGION for plants: it is eu-west-3; set S3_REGION=eu-west-3 in .env, and "
        "S3_ENDPOINT=https://s3.eu-west-3.amazonaws.com.",
    ),
    "a bucket elsewhere": (
        (301, {"Code": "PermanentRedirect"}, {"x-amz-bucket-region": "eu-west-3"}, "plants/key"),
        "refuses S3_REGION for plants/key: it is eu-west-3",
    ),
    "a token that ended": ((400, {"Code": "ExpiredToken"}, {}, "plants"), "takes the session token no more"),
    "somebody else's bucket": ((403, {"Code": "AccessDenied"}, {}, "models"), "a name is given once for all of AWS"),
    "a name that is taken": (
        (409, {"Code": "BucketAlreadyExists"}, {}, "models"),
        "is somebody else's; S3_BUCKET_MODELS",
    ),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_what_aws_answers_is_a_sentence_with_its_cure(answer: str) -> None:
    (status, error, headers, what), said = ANSWERS[answer]
    response = {"Error": error, "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": headers}}
    asked = "HeadBucket" if status == 409 else "ListObjectsV2"
    assert said in str(errors.from_client_error(ClientError(response, asked), ENDPOINT, what))


SERVERS = {
    "minio": ("minio", "server", "{folder}", "--address", "127.0.0.1:{port}"),
    "versitygw": ("versitygw", "--port", "127.0.0.1:{port}", "--region", "eu-west-3", "posix", "{folder}"),
}


@pytest.mark.parametrize("kind", SERVERS)
@pytest.mark.parametrize("region", ["eu-west-3", "eu-west-1"])
def test_a_server_of_one_region_makes_buckets_whatever_the_settings_say(tmp_path: Path, kind: str, region: str) -> None:
    port, folder = free_ports(), tmp_path / "objects"
    folder.mkdir()
    user = {"MINIO_ROOT_USER": "somebody", "ROOT_ACCESS_KEY": "somebody", "MINIO_REGION": "eu-west-3"}
    user |= dict.fromkeys(("MINIO_ROOT_PASSWORD", "ROOT_SECRET_KEY"), "k" * 20)
    at = settings.Settings(f"http://127.0.0.1:{port}", region, {}, "somebody", "k" * 20)
    with program(port, *(word.format(port=port, folder=folder) for word in SERVERS[kind]), **user):
        assert S3Client(at).create_bucket("plants")
        assert not S3Client(at).create_bucket("plants")
        if (kind, region) == ("versitygw", "eu-west-1"):  # which says to HEAD no more than that it is a bad request
            with pytest.raises(StorageError, match="; see whether S3_REGION in .env is the server's"):
                S3Client(at).object_exists("plants", "key")
        else:
            assert not S3Client(at).object_exists("plants", "key")
        (tmp_path / "file").write_text("x")
        S3Client(at).upload_file(tmp_path / "file", "plants", "key")
        assert [found.key for found in S3Client(at).list_objects("plants")] == ["key"]


def test_hooks_hear_of_the_chain_what_verbs_do() -> None:
    assert remotes.CHAIN in (ROOT / ".githooks/environment").read_text().replace("\\\n", "")
