"""The video that a clip was cut from, by the clip's name."""

import re

_SECOND = re.compile(r"_\d+(?:\.\d+)?$")
_SITE = re.compile(r"^(?:yt|flickr)-")


def source_of(filename: str) -> str:
    """Return the source video that a clip's name tells.

    A clip is `<class>/<site>-<id>_<second>.mp4`. Clips of YouTube and Flickr are there with and
    without the site before the id (`yt-xxlQD_g2iSg_440`, `xxlQD_g2iSg_1344`), and those of one
    source may be in folders of several classes.
    """
    stem = filename.rsplit("/", 1)[-1]
    stem = stem.rsplit(".", 1)[0] or stem
    return _SITE.sub("", _SECOND.sub("", stem)) or stem
