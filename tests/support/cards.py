"""YAML of cards that is of no use, or odd."""

BOMB = "a0: &a0 [x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 13)
)
MERGES = "a0: &a0 {k: 1}\n" + "".join(
    f"a{n}: &a{n}\n  <<: [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 13)
)
REFUSED: dict[str, tuple[str, str]] = {
    "aliases of aliases": (BOMB, "its YAML means more than 50,000 values"),
    "merges of merges": (MERGES, "its YAML means more than 50,000 values"),
    "few aliases each time": (
        "a0: &a0 [x]\n"
        + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}]\n" for n in range(1, 21)),
        "its YAML means more than 50,000 values",
    ),
    "itself": ("a: &a [*a]\n", "its YAML has a value that holds itself (*a)"),
    "itself, deeper": ("a: &a {b: [{c: *a}]}\n", "its YAML has a value that holds itself (*a)"),
    "lists in lists": ("a: " + "[" * 100_000 + "\n", "its YAML is nested too deeply"),
    "mappings in mappings": (
        "a: " + "{a: " * 2000 + "1" + "}" * 2000 + "\n",
        "its YAML is nested too deeply",
    ),
    "indented": (
        "".join(f"{' ' * n}a:\n" for n in range(400)),
        "its YAML is nested too deeply",
    ),
    "many values": ("a: [" + "1," * 100_000 + "]\n", "its YAML means more than 50,000 values"),
    "long": ("a: " + "x" * 1_000_000 + "\n", "its YAML has 1,000,0"),
}

ODD: dict[str, str] = {
    "config_name a list": "configs:\n- config_name: [a, b]\n  data_files: x.csv\n",
    "config_name a mapping": "dataset_info:\n- config_name: {a: b}\n",
    "dataset_info with a mapping": "dataset_info:\n  config_name: {a: 1}\n  features: 5\n",
    "data_files a number": "configs:\n- config_name: theirs\n  data_files: 5\n",
    "data_files of numbers": "configs:\n- config_name: theirs\n  data_files: [5, null]\n",
    "configs a number": "configs: 5\ndataset_info: x\n",
    "dates and not a number": "a: 2001-01-01\nb: .nan\nc: .inf\nd: 1:30\n",
    "a few aliases": "a: &a [x, y]\nb: [*a, *a]\nc: {<<: {k: 1}, d: *a}\n",
    "sizes a mapping": "size_categories: [{a: 1}]\n",
}
