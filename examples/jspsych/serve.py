"""Serve the rating experiment on this machine, and save what it sends.

    npm install                                  # once, in this folder: jsPsych
    python serve.py --lists LISTS --stimuli STUDY/stimuli --results RESULTS

Then open the address that it prints, with `?run=sub-01_run-01` after it.
"""

import argparse
import re
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

MOST_BYTES = 10_000_000
RESULT = re.compile(r"/results/([\w-]+\.csv)")


class Handler(SimpleHTTPRequestHandler):
    """Gives the page, `lists/` and `stimuli/`, each from its folder, and takes `results/`."""

    def __init__(self, *arguments: object, roots: dict[str, Path], results: Path):
        self._roots = roots
        self._results = results
        super().__init__(*arguments, directory=str(roots[""]))  # type: ignore[arg-type]

    def translate_path(self, path: str) -> str:
        """Return the file that an address means; the standard library keeps it in its folder."""
        first, _, rest = urlsplit(path).path.lstrip("/").partition("/")
        root = self._roots.get(first) if first and rest else None
        self.directory = str(root or self._roots[""])
        return super().translate_path(f"/{rest}" if root else path)

    def do_POST(self) -> None:
        """Save a result; one that is there is not replaced."""
        name = RESULT.fullmatch(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        if name is None or not 0 < length <= MOST_BYTES:
            self.send_error(HTTPStatus.BAD_REQUEST)
            return
        content = self.rfile.read(length)
        try:
            with (self._results / name[1]).open("xb") as file:
                file.write(content)
        except FileExistsError:
            self.send_error(HTTPStatus.CONFLICT, "there are results of this run")
            return
        self.send_response(HTTPStatus.CREATED)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing of each request."""


def server(
    page: Path, lists: Path, stimuli: Path, results: Path, port: int = 0
) -> ThreadingHTTPServer:
    """Return a server on the loopback; port 0 stands for any that is free."""
    results.mkdir(parents=True, exist_ok=True)
    roots = {"": page, "lists": lists, "stimuli": stimuli}
    handler = partial(Handler, roots=roots, results=results)
    return ThreadingHTTPServer(("127.0.0.1", port), handler)


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Serve the rating experiment on this machine.")
    parser.add_argument("--lists", type=Path, required=True, help="of avmit trials")
    parser.add_argument("--stimuli", type=Path, required=True, help="the folder with stimuli.tsv")
    parser.add_argument("--results", type=Path, required=True, help="where ratings are saved")
    parser.add_argument("--page", type=Path, default=Path(__file__).parent)
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    for folder in (options.lists, options.stimuli, options.page / "node_modules"):
        if not folder.is_dir():
            parser.error(f"there is no folder {folder}")
    with server(
        options.page, options.lists, options.stimuli, options.results, options.port
    ) as running:
        print(f"http://127.0.0.1:{running.server_port}/index.html", flush=True)
        with suppress(KeyboardInterrupt):
            running.serve_forever()


if __name__ == "__main__":
    main()
