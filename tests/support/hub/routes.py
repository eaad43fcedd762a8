"""How the loopback Hub answers each request of `huggingface_hub`, in the Hub's own words."""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, quote, unquote

import yaml

from support.hub.state import Account, Answer, Hub, Request
from support.hub.store import Commit, File, Missing, Repository, is_lfs, lfs, regular

_REPO = r"/api/(?P<kind>model|dataset|space)s/(?P<id>[^/]+/[^/]+)"
_REVISION = r"(?P<revision>refs/pr/\d+|[^/]+)"
_NO_CREDENTIALS = "Invalid credentials in Authorization header"


class Refused(Exception):
    """Ends a request with an answer that is an error."""

    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.answer = Answer.error(status, message, code)


class Call:
    """One request with all that it names."""

    def __init__(self, hub: Hub, request: Request, body: bytes, names: Mapping[str, Any]):
        self.hub, self.request, self.body = hub, request, body
        self.names = {name: unquote(text or "") for name, text in names.items()}
        self.query = {name: values[0] for name, values in parse_qs(request.query).items()}
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token and token not in hub.accounts:
            raise Refused(401, _NO_CREDENTIALS)
        self.account: Account | None = hub.accounts.get(token)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def repository(self) -> Repository:
        """The repository, which one who may not read it does not learn of."""
        kind = self.names.get("kind") or "dataset"
        repository = self.hub.repositories.get((kind, self.names["id"]))
        if repository and (not repository.private or self._owns(repository.id)):
            return repository
        if self.account is None:
            raise Refused(401, "Invalid username or password.")
        raise Refused(404, "Repository not found", "RepoNotFound")

    @property
    def commit(self) -> Commit:
        return self.repository.head(self.names.get("revision") or "main")

    @property
    def file(self) -> File:
        path = self.names["path"]
        if path not in self.commit.files:
            raise Missing("EntryNotFound", "Entry not found")
        return self.commit.files[path]

    def _owns(self, name: str) -> bool:
        owner = name.split("/")[0]
        return self.account is not None and owner in (self.account.name, *self.account.orgs)

    @property
    def writer(self) -> Account:
        """The account, which must have a token that writes anything at all."""
        if self.account is None:
            raise Refused(401, "Invalid username or password.")
        if self.account.role == "write" or "repo.write" in self.account.permissions:
            return self.account
        raise Refused(403, "You don't have the required permissions for this operation")

    def must_own(self, name: str) -> Account:
        account = self.writer
        if not self._owns(name):
            raise Refused(403, "You don't have the rights for this operation on this repo")
        return account


def answer(hub: Hub, request: Request, body: bytes) -> Answer:
    for method, pattern, handle in _ROUTES:
        found = re.fullmatch(pattern, request.path)
        if found and request.method in method.split():
            try:
                return handle(Call(hub, request, body, found.groupdict()))
            except Refused as refused:
                return refused.answer
            except Missing as missing:
                return Answer.error(404, str(missing), missing.code)
    return Answer.error(404, f"Sorry, we can't find {request.method} {request.path}")


def _whoami(call: Call) -> Answer:
    if call.account is None:
        raise Refused(401, "Invalid username or password.")
    token: dict[str, Any] = {"displayName": "test", "role": call.account.role}
    if call.account.role == "fineGrained":
        scoped = {
            "entity": {"_id": "1", "type": "user", "name": call.account.name},
            "permissions": list(call.account.permissions),
        }
        token["fineGrained"] = {"canReadGatedRepos": False, "global": [], "scoped": [scoped]}
    return Answer.of(
        {
            "type": "user",
            "id": "1",
            "name": call.account.name,
            "orgs": [{"type": "org", "id": "2", "name": name} for name in call.account.orgs],
            "auth": {"type": "access_token", "accessToken": token},
        }
    )


def _create(call: Call) -> Answer:
    asked = call.json
    owner = asked.get("organization") or call.writer.name
    name, kind = f"{owner}/{asked['name']}", asked.get("type") or "model"
    url = f"{call.hub.url}/{'' if kind == 'model' else kind + 's/'}{name}"
    if owner not in (call.writer.name, *call.writer.orgs):
        raise Refused(
            403, f'You don\'t have the rights to create a {kind} under the namespace "{owner}"'
        )
    if (kind, name) in call.hub.repositories:
        return Answer.of({"error": f"You already created this {kind} repo", "url": url}, 409)
    # Older clients say `private`, newer ones `visibility`.
    private = asked.get("private") or asked.get("visibility") == "private"
    call.hub.create(name, kind, bool(private))
    return Answer.of({"url": url, "name": name, "id": "3"})


def _validate_yaml(call: Call) -> Answer:
    found = re.match(r"---\s*\n(.*?)\n---", call.json["content"], re.DOTALL)
    if found is None:
        return Answer.of({"errors": [], "warnings": [{"message": "empty or missing yaml"}]})
    try:
        yaml.safe_load(found[1])
    except yaml.YAMLError as error:
        return Answer.of({"errors": [{"message": str(error)}], "warnings": []}, 400)
    return Answer.of({"errors": [], "warnings": []})


def _info(call: Call) -> Answer:
    repository, commit = call.repository, call.commit
    siblings: list[dict[str, Any]] = [{"rfilename": path} for path in commit.files]
    if "blobs" in call.query:
        for sibling, file in zip(siblings, commit.files.values(), strict=True):
            sibling.update(size=file.size, blobId=file.oid)
            if file.sha256:
                sibling["lfs"] = {
                    "sha256": file.sha256,
                    "size": file.size,
                    "pointerSize": file.pointer_size,
                }
    return Answer.of(
        {
            "_id": "3",
            "id": repository.id,
            "author": repository.id.split("/")[0],
            "sha": commit.oid,
            "lastModified": "2026-01-01T00:00:00.000Z",
            "createdAt": "2026-01-01T00:00:00.000Z",
            "private": repository.private,
            "gated": False,
            "disabled": False,
            "tags": [],
            "downloads": 0,
            "likes": 0,
            "siblings": siblings,
        }
    )


def _entry(path: str, file: File) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "oid": file.oid, "size": file.size, "path": path}
    if file.sha256:
        entry["lfs"] = {"oid": file.sha256, "size": file.size, "pointerSize": file.pointer_size}
    return entry


def _folder(path: str) -> dict[str, Any]:
    oid = hashlib.sha1(path.encode()).hexdigest()
    return {"type": "directory", "oid": oid, "size": 0, "path": path}


def _entries(call: Call) -> dict[str, dict[str, Any]]:
    """Every file and folder of the revision, by path."""
    entries = {}
    for path, file in call.commit.files.items():
        folders = path.split("/")[:-1]
        for depth in range(1, len(folders) + 1):
            folder = "/".join(folders[:depth])
            entries[folder] = _folder(folder)
        entries[path] = _entry(path, file)
    return entries


def _tree(call: Call) -> Answer:
    root, entries = call.names.get("path", "").strip("/"), _entries(call)
    if root and entries.get(root, {}).get("type") != "directory":
        raise Missing("EntryNotFound", f"{root} does not exist on {call.names['revision']}")
    below = [entry for path, entry in entries.items() if not root or path.startswith(root + "/")]
    if call.query.get("recursive", "").lower() not in ("true", "1"):
        depth = root.count("/") + 1 if root else 0
        below = [entry for entry in below if entry["path"].count("/") == depth]
    start = int(call.query.get("cursor", 0))
    stop = start + min(call.hub.page, int(call.query.get("limit", call.hub.page)))
    reply = Answer.of(below[start:stop])
    if stop < len(below):
        query = "&".join(f"{n}={quote(v)}" for n, v in call.query.items() if n != "cursor")
        url = f"{call.hub.url}{call.request.path}?{query}&cursor={stop}"
        reply.headers["Link"] = f'<{url}>; rel="next"'
    return reply


def _paths_info(call: Call) -> Answer:
    if "json" in call.request.headers.get("Content-Type", ""):
        paths = call.json["paths"]
    else:
        paths = parse_qs(call.body.decode()).get("paths", [])
    entries = _entries(call)
    return Answer.of([entries[path] for path in paths if path in entries])


def _refs(call: Call) -> Answer:
    def named(prefix: str) -> list[dict[str, str]]:
        return [
            {"name": ref.removeprefix(prefix), "ref": ref, "targetCommit": oid}
            for ref, oid in call.repository.refs.items()
            if ref.startswith(prefix)
        ]

    requests = [{**entry, "name": entry["ref"]} for entry in named("refs/pr/")]
    return Answer.of(
        {"branches": named("refs/heads/"), "converts": [], "tags": [], "pullRequests": requests}
    )


def _history(call: Call) -> Answer:
    commits = call.repository.history(call.names["revision"])
    return Answer.of(
        [
            {
                "id": commit.oid,
                "title": commit.title,
                "message": commit.description,
                "authors": [{"user": commit.author}],
                "date": "2026-01-01T00:00:00.000Z",
            }
            for commit in commits
        ]
    )


def _create_branch(call: Call) -> Answer:
    repository = call.repository
    call.must_own(repository.id)
    ref = f"refs/heads/{call.names['branch']}"
    if ref in repository.refs:
        raise Refused(409, "Reference already exists")
    start = (call.json or {}).get("startingPoint") or "main"
    repository.refs[ref] = repository.head(start).oid
    return Answer.of({})


def _preupload(call: Call) -> Answer:
    files = call.commit.files
    if "create_pr" in call.query:
        _ = call.writer
    else:
        _may_commit(call)
    answers = []
    for asked in call.json["files"]:
        path = asked["path"]
        known = files.get(path)
        mode = "lfs" if is_lfs(files, path, asked["size"]) else "regular"
        oid = {"oid": known.sha256 or known.oid} if known else {}
        answers.append({"path": path, "uploadMode": mode, "shouldIgnore": False, **oid})
    return Answer.of({"files": answers, "commitOid": call.commit.oid})


def _may_commit(call: Call) -> Account:
    ref = call.repository.ref(call.names["revision"])
    account = call.writer
    if call.repository.authors.get(ref) != account.name and not call._owns(call.repository.id):
        raise Refused(
            403, "Forbidden: pass `create_pr=1` as a query parameter to create a Pull Request"
        )
    return account


def _lfs_batch(call: Call) -> Answer:
    _ = call.repository, call.writer
    objects = []
    for asked in call.json["objects"]:
        entry = {"oid": asked["oid"], "size": asked["size"]}
        if asked["oid"] not in call.hub.blobs:
            link = f"{call.hub.storage}/{asked['oid']}?signature={call.hub.secret}"
            verify = f"{call.hub.url}/datasets/{call.repository.id}.git/info/lfs/verify"
            entry["actions"] = {"upload": {"href": link}, "verify": {"href": verify}}
        objects.append(entry)
    return Answer.of({"transfer": "basic", "objects": objects})


def _lfs_verify(call: Call) -> Answer:
    known = call.hub.blobs.get(call.json["oid"])
    if known is None or lfs(known, call.json["oid"]).size != call.json["size"]:
        raise Refused(404, "Object does not exist")
    return Answer.of({})


def _storage(call: Call) -> Answer:
    """The blob store: links are signed, and no token is wanted, or taken."""
    if call.query.get("signature") != call.hub.secret:
        raise Refused(403, "Access denied")
    sha256 = call.names["sha256"]
    if call.request.method == "PUT":
        if hashlib.sha256(call.body).hexdigest() != sha256:
            raise Refused(400, "BadDigest")
        call.hub.blobs[sha256] = call.body
        return Answer(headers={"ETag": f'"{sha256}"'})
    if sha256 not in call.hub.blobs:
        raise Refused(404, "NoSuchKey")
    return _content(call, lfs(call.hub.blobs[sha256], sha256), {"ETag": f'"{sha256}"'})


def _commit(call: Call) -> Answer:
    lines = [json.loads(line) for line in call.body.splitlines() if line]
    header = lines[0]["value"]
    with call.hub.lock:
        repository, base = call.repository, call.commit
        wanted = header.get("parentCommit")
        if "create_pr" in call.query:
            author = call.writer.name
            base = repository.head(wanted) if wanted else base
            ref = repository.open_request(base, author)
        else:
            author = _may_commit(call).name
            ref = repository.ref(call.names["revision"])
            if wanted and not base.oid.startswith(wanted):
                raise Refused(412, "A commit has happened since. Please refresh and try again.")
        changes: dict[str, File | None] = {}
        for line in lines[1:]:
            _change(call, base, line["key"], line["value"], changes)
        commit = repository.add(
            ref, base.files, changes, header["summary"], header["description"], author
        )
    url = f"{call.hub.url}/datasets/{repository.id}"
    reply = {"success": True, "commitOid": commit.oid, "commitUrl": f"{url}/commit/{commit.oid}"}
    if ref.startswith("refs/pr/"):
        reply["pullRequestUrl"] = f"{url}/discussions/{ref.removeprefix('refs/pr/')}"
    return Answer.of(reply)


def _change(
    call: Call, base: Commit, key: str, value: dict[str, Any], changes: dict[str, File | None]
) -> None:
    path = value["path"]
    if key == "file":
        changes[path] = regular(base64.b64decode(value["content"]))
    elif key == "lfsFile":
        if value["oid"] not in call.hub.blobs:
            raise Refused(400, f"LFS pointer pointed to a file that does not exist: {path}")
        changes[path] = lfs(call.hub.blobs[value["oid"]], value["oid"])
    elif key == "deletedFile":
        if path not in base.files:
            raise Missing("EntryNotFound", f"A file with this name doesn't exist: {path}")
        changes.setdefault(path, None)
    else:
        changes.update({old: None for old in base.files if old.startswith(path.rstrip("/") + "/")})


def _resolve(call: Call) -> Answer:
    commit = call.commit
    if call.names["path"] not in commit.files:
        # With the commit, so that clients remember that it has no such file.
        missing = Answer.error(404, "Entry not found", "EntryNotFound")
        return replace(missing, headers=missing.headers | {"X-Repo-Commit": commit.oid})
    file = call.file
    headers = {"X-Repo-Commit": commit.oid, "Accept-Ranges": "bytes"}
    if file.sha256 is None:
        return _content(call, file, {**headers, "ETag": f'"{file.oid}"'})
    headers["X-Linked-Size"] = str(file.size)
    headers["X-Linked-ETag"] = headers["ETag"] = f'"{file.sha256}"'
    link = f"{call.hub.storage}/{file.sha256}?signature={call.hub.secret}"
    return Answer(302, {**headers, "Location": link}, f"Found. Redirecting to {link}".encode())


def _resolve_of_model(call: Call) -> Answer:
    call.names["kind"] = "model"
    return _resolve(call)


def _content(call: Call, file: File, headers: dict[str, str]) -> Answer:
    """The whole file, or the one range that is asked for."""
    asked = re.fullmatch(r"bytes=(\d*)-(\d*)", call.request.headers.get("Range", ""))
    if asked is None or asked[0] == "bytes=-":
        return Answer(200, headers, length=file.size, read=file.read)
    if asked[1]:
        start, stop = int(asked[1]), min(int(asked[2] or file.size) + 1, file.size)
    else:
        start, stop = max(0, file.size - int(asked[2])), file.size
    if start >= file.size:
        return Answer(416, {**headers, "Content-Range": f"bytes */{file.size}"})
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{file.size}"
    return Answer(
        206, headers, length=stop - start, read=lambda a, b: file.read(start + a, start + b)
    )


def _auth_check(call: Call) -> Answer:
    if call.request.path.endswith("/write"):
        call.must_own(call.repository.id)
    return Answer.of({"id": call.repository.id})


_ROUTES: list[tuple[str, str, Callable[[Call], Answer]]] = [
    ("GET", r"/api/whoami-v2", _whoami),
    ("POST", r"/api/repos/create", _create),
    ("POST", r"/api/validate-yaml", _validate_yaml),
    ("GET HEAD", _REPO, _info),
    # Clients before 1.0 try the owner alone, as a dataset without one.
    ("GET HEAD", r"/api/(?P<kind>dataset)s/(?P<id>[^/]+)", _info),
    ("GET HEAD", rf"{_REPO}/revision/{_REVISION}", _info),
    ("GET", rf"{_REPO}/tree/{_REVISION}(/(?P<path>.*))?", _tree),
    ("POST", rf"{_REPO}/paths-info/{_REVISION}", _paths_info),
    ("GET", rf"{_REPO}/refs", _refs),
    ("GET", rf"{_REPO}/commits/{_REVISION}", _history),
    ("GET", rf"{_REPO}/auth-check(/write)?", _auth_check),
    ("POST", rf"{_REPO}/branch/(?P<branch>[^/]+)", _create_branch),
    ("POST", rf"{_REPO}/preupload/{_REVISION}", _preupload),
    ("POST", rf"{_REPO}/commit/{_REVISION}", _commit),
    ("POST", r"/datasets/(?P<id>[^/]+/[^/]+)\.git/info/lfs/objects/batch", _lfs_batch),
    ("POST", r"/datasets/(?P<id>[^/]+/[^/]+)\.git/info/lfs/verify", _lfs_verify),
    ("GET HEAD PUT", r"/storage/(?P<sha256>[0-9a-f]{64})", _storage),
    ("GET HEAD", rf"/datasets/(?P<id>[^/]+/[^/]+)/resolve/{_REVISION}/(?P<path>.+)", _resolve),
    ("GET HEAD", rf"/(?P<id>[^/]+/[^/]+)/resolve/{_REVISION}/(?P<path>.+)", _resolve_of_model),
]
