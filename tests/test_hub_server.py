"""The loopback Hub, driven by the real client: what the other tests of the Hub stand on."""

from pathlib import Path

import pytest
import requests
from datasets import load_dataset
from huggingface_hub import HfApi, hf_hub_url, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError
from support.hub.server import Fault, HubServer
from support.releases import assert_same_rows, expected_rows


def test_a_folder_is_uploaded_listed_and_downloaded(
    hub: HubServer, package: Path, tmp_path: Path
) -> None:
    api = HfApi()
    assert api.whoami()["name"] == "ann"
    api.create_repo("ann/avmit", repo_type="dataset")
    api.upload_folder(repo_id="ann/avmit", repo_type="dataset", folder_path=package)
    hub.page = 3  # the tree then comes in pages
    tree = api.list_repo_tree("ann/avmit", repo_type="dataset", recursive=True)
    sizes = {entry.path: entry.size for entry in tree if hasattr(entry, "size")}
    files = {p.relative_to(package).as_posix(): p for p in package.rglob("*") if p.is_file()}
    assert sizes.pop(".gitattributes") > 0
    assert sizes == {name: path.stat().st_size for name, path in files.items()}
    copy = Path(snapshot_download("ann/avmit", repo_type="dataset", local_dir=tmp_path / "copy"))
    for name, path in files.items():
        assert (copy / name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("streaming", [False, True])
def test_datasets_reads_from_it(
    hub: HubServer, package: Path, release: Path, cache: Path, streaming: bool
) -> None:
    name = f"ann/read-{streaming}"
    hub.put_folder(name, package)
    rows = load_dataset(name, "vggish_vgg16", split="train", streaming=streaming)
    assert_same_rows(rows.with_format("numpy"), expected_rows(release, "vggish_vgg16", "train"))
    storage = hub.of("^/storage/")
    assert sum(request.sent for request in storage) > 0
    assert not any("Authorization" in request.headers for request in storage)


def test_a_commit_that_is_not_on_the_tip_is_refused(hub: HubServer) -> None:
    api = HfApi()
    api.create_repo("ann/avmit", repo_type="dataset")
    parent = hub.dataset("ann/avmit").head().oid
    hub.put("ann/avmit", {"README.md": b"theirs"})
    with pytest.raises(HfHubHTTPError) as raised:
        api.upload_file(
            path_or_fileobj=b"ours",
            path_in_repo="README.md",
            repo_id="ann/avmit",
            repo_type="dataset",
            parent_commit=parent,
        )
    assert raised.value.response.status_code == 412
    assert hub.dataset("ann/avmit").text("README.md") == "theirs"


def test_a_pull_request_leaves_main_alone(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.create("ann/avmit")
    monkeypatch.setenv("HF_TOKEN", "hf_bobwrites")
    made = HfApi().upload_file(
        path_or_fileobj=b"bob's",
        path_in_repo="README.md",
        repo_id="ann/avmit",
        repo_type="dataset",
        create_pr=True,
    )
    assert made.pr_revision == "refs/pr/1"
    repository = hub.dataset("ann/avmit")
    assert repository.text("README.md", "refs/pr/1") == "bob's"
    assert "README.md" not in repository.head().files


@pytest.mark.parametrize(
    ("token", "status"),
    [("hf_unknown", 401), ("hf_annreads", 403), ("hf_annfinedenied", 403), ("hf_bobwrites", 403)],
)
def test_who_may_not_write_does_not(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch, token: str, status: int
) -> None:
    hub.create("ann/avmit")
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(HfHubHTTPError) as raised:
        HfApi().upload_file(
            path_or_fileobj=b"x", path_in_repo="x", repo_id="ann/avmit", repo_type="dataset"
        )
    assert raised.value.response.status_code == status
    assert len(hub.dataset("ann/avmit").commits) == 1


def test_a_private_dataset_is_not_there_for_others(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    HfApi().create_repo("ann/secret", repo_type="dataset", private=True)
    assert HfApi().dataset_info("ann/secret").private is True
    monkeypatch.setenv("HF_TOKEN", "hf_bobwrites")
    with pytest.raises(RepositoryNotFoundError):
        HfApi().dataset_info("ann/secret")


def test_faults_are_met_in_order_and_then_gone(hub: HubServer) -> None:
    hub.create("ann/avmit")
    content = bytes(range(256)) * 1000
    hub.put("ann/avmit", {"a.bin": content})
    url = hf_hub_url("ann/avmit", "a.bin", repo_type="dataset")
    hub.faults = [
        Fault("^/storage/", drop_after=100_000),
        Fault("/api/datasets/", status=429, headers={"Retry-After": "7"}),
    ]
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="100000 bytes read"):
        requests.get(url, timeout=10)
    rest = requests.get(url, headers={"Range": "bytes=100000-"}, timeout=10)
    assert (rest.status_code, rest.content) == (206, content[100_000:])
    assert [request.sent for request in hub.of("^/storage/")] == [100_000, 156_000]
    with pytest.raises(HfHubHTTPError) as raised:
        HfApi().dataset_info("ann/avmit")
    assert raised.value.response.headers["Retry-After"] == "7"
    assert HfApi().dataset_info("ann/avmit").id == "ann/avmit"
