"""A small file from an address, whole or not at all."""

from urllib.parse import urlsplit

import requests

from avmit import AvmitError
from conversion.spelled import Spelled, spelled
from conversion.wording import printable
from conversion.zenodo.retry import BRIEF, Interrupted, insist, open_session, request, status_of

_CHUNK = 2**16


def fetch(address: str, most: int, instead: Spelled) -> bytes:
    """Return what an address answers with, at most so many bytes; a busy server is asked again.

    `instead` says in an error what else can be done.

    Raises:
        AvmitError: there is no answer, another one, or a longer one.
    """
    said = printable(address)
    if not _has_host(address):
        raise AvmitError(spelled(f"{said} is no address: ", instead))

    def attempt() -> bytes:
        with request(session, address, BRIEF, {}) as response:
            if response.status_code != requests.codes.ok:
                raise AvmitError(f"{said}: the answer is {status_of(response)}")
            data = b""
            try:
                for chunk in response.iter_content(_CHUNK):
                    data += chunk
                    if len(data) > most:
                        raise AvmitError(f"{said} has more than {most:,} bytes")
            except requests.RequestException as error:
                raise Interrupted("the answer broke off") from error
            return data

    try:
        with open_session() as session:
            return insist(said, attempt, BRIEF)
    except AvmitError as error:
        raise AvmitError(spelled(f"{error}; ", instead)) from error


def _has_host(address: str) -> bool:
    try:
        return bool(urlsplit(address).hostname)
    except ValueError:
        return False
