# SPDX-License-Identifier: Apache-2.0
"""What the documents say is so: commands run, options exist, files are there."""
import os
import pathlib
import re
import shlex
import shutil
import subprocess

import pytest

from conftest import s3_environment
from firn_tool import BUILD, Firn, unmount
from s3sim import S3Sim

TOP = pathlib.Path(__file__).resolve().parents[2]
DOCUMENTS = ["README.md", "DESIGN.md", "CONTRIBUTING.md", "NEWS"]
PAGES = ["firn.1", "firnfs.8", "firn-format.5", "firn-policy.7"]


def text_of(name):
    return (TOP / name).read_text(encoding="utf-8")


def firn_help(*args):
    r = subprocess.run([BUILD / "firn", *args], capture_output=True, text=True, check=False)
    assert r.returncode == 0, r.stderr
    assert r.stderr == ""
    return r.stdout


def commands():
    """Names from `firn --help`."""
    listed = firn_help("--help").split("Commands:\n")[1].split("\n\n")[0]
    names = [line.split()[0] for line in listed.splitlines()]
    assert len(names) > 5
    return names


def long_options(text):
    return set(re.findall(r"--([a-z][a-z0-9-]*)", text))


# The commands of the documents, run.

def fenced(text):
    """The blocks between ``` lines."""
    return re.findall(r"^```\n(.*?)^```$", text, re.M | re.S)


def examples(page):
    """The literal blocks of a page's EXAMPLES."""
    section = text_of(f"man/{page}").split(".Sh EXAMPLES\n")[1].split("\n.Sh ")[0]
    blocks = re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed$", section, re.M | re.S)
    return [b.replace("\\e", "\\").replace("\\&", "") for b in blocks]


def is_script(block):
    return re.search(r"^(firn|firnfs) ", block, re.M) is not None


def readme_scripts():
    return [b for b in fenced(text_of("README.md")) if is_script(b)]


SCRIPTS = {**{f"README-{i}": [b] for i, b in enumerate(readme_scripts())},
           "firn.1": [b for b in examples("firn.1") if is_script(b)],
           "firnfs.8": [b for b in examples("firnfs.8") if is_script(b)]}


@pytest.mark.parametrize("text", [text_of("README.md")])
def test_scripts_are_found(text):
    """Every line with a command is in a block that is run."""
    lines = [x for x in text.splitlines() if re.match(r"\s*(firn|firnfs) ", x)]
    run = [x for b in readme_scripts() for x in b.splitlines()]
    assert lines and all(x in run for x in lines)
    for name in ("firn.1", "firnfs.8"):
        assert SCRIPTS[name]


class Sandbox:
    """The machine that the examples are written for, below a directory."""

    # Every path of the examples that is the reader's own.
    PATHS = ["/srv/backup", "/etc/firn/password", "/etc/fstab", "/etc", "/home", "/mnt", "/tmp"]

    def __init__(self, work, sim):
        self.root = work / "machine"
        for d in ("srv", "etc/firn", "home/anna", "mnt", "tmp", "bin", "cwd"):
            (self.root / d).mkdir(parents=True)
        (self.root / "etc/firn/password").write_text("a password\n")
        (self.root / "etc/fstab").write_text("# nothing\n")
        (self.root / "home/anna/letter").write_text("dear\n")
        (self.root / "home/anna/a.o").write_text("object\n")
        (self.root / "cwd/web1.password").write_text("of web1\n")
        dump = self.root / "bin/pg_dump"
        dump.write_text("#!/bin/sh\necho 'create table t ();'\n")
        dump.chmod(0o755)
        self.sim = sim
        self.env = {k: v for k, v in os.environ.items()
                    if not k.startswith(("FIRN_", "AWS_"))}
        self.env.update(PATH=f"{BUILD}:{self.root}/bin:{os.environ['PATH']}",
                        FIRN_CACHE_DIR=str(self.root / "cache"),
                        FIRN_PASSWORD_FILE=str(self.root / "etc/firn/password"))

    def local_path(self, path):
        """Where a path of an example lies here."""
        if path.startswith(str(self.root)):
            return path
        for p in self.PATHS:
            if path == p or path.startswith(p + "/"):
                return f"{self.root}{path}"
        return path

    def word(self, word):
        """One word of a command, with the paths in it below the sandbox."""
        if word.startswith("s3://"):
            return word
        if word.startswith("http://"):
            return self.sim.url
        head, mark, tail = word.rpartition("=")
        if mark and tail.startswith("/"):
            return f"{head}={self.local_path(tail)}"
        head, mark, tail = word.partition(":")
        if mark and tail.startswith("/"):
            return f"{head}:{self.local_path(tail)}"
        return self.local_path(word)

    def export(self, words):
        """`export NAME=VALUE ...`; what a reader fills in is the simulator's."""
        for word in words:
            name, value = word.split("=", 1)
            if name.startswith("AWS_"):
                self.env.update(s3_environment(self.sim.url))
            else:
                self.env[name] = self.word(value)

    def run(self, line):
        words = shlex.split(line)
        if words[0] == "export":
            self.export(words[1:])
            return
        if words[0] == "umount":
            unmount(self.word(words[1]))
            return
        if "add" in words and "--new-password-file" not in words:
            # What would be typed at the prompt, asked for twice; the variable
            # that the reader exported must not be taken in its place.
            r = subprocess.run([self.word(w) for w in words], env=self.env,
                               capture_output=True, cwd=self.root / "cwd", text=True,
                               start_new_session=True, check=False)
            assert r.returncode == 1 and "--new-password-file" in r.stderr
            words += ["--new-password-file", "web1.password"]
        if any(w.startswith("s3://") for w in words):
            self.env.update(s3_environment(self.sim.url))
        if {"init", "add"} & set(words) and "--kdf-memory" not in words:
            words += ["--kdf-memory", "1M"]	# all that follows would take seconds
        r = subprocess.run([self.word(w) for w in words], env=self.env, capture_output=True,
                           cwd=self.root / "cwd", text=True, check=False)
        assert r.returncode == 0, f"{line}: status {r.returncode}\n{r.stdout}{r.stderr}"


@pytest.mark.usefixtures("fuse")
@pytest.mark.parametrize("name", SCRIPTS)
def test_commands_run(work, name):
    """Every command line of README.md and of the EXAMPLES does what it should."""
    with S3Sim(["bucket"], data_dir=str(work / "sim")) as sim:
        box = Sandbox(work, sim)
        if name == "firnfs.8":
            repo = Firn(work, box.word("/srv/backup"))
            repo.env = dict(box.env, FIRN_REPOSITORY=repo.url)
            repo("init")
            repo("backup", box.word("/etc"))
            box.env["FIRN_REPOSITORY"] = repo.url
        for block in SCRIPTS[name]:
            for line in block.splitlines():
                if name == "firnfs.8" and line.startswith(("ls ", "diff ")):
                    # The tree is below the sandbox's own path in there.
                    line = line.replace("/mnt/latest/etc",
                                        f"/mnt/latest{box.word('/etc')}")
                if line.startswith("cp -a /mnt/latest/"):
                    path = line.split()[2].removeprefix("/mnt/latest")
                    line = line.replace(path, box.word(path), 1)
                box.run(line)


# The two manual pages against the programs.

def page_options(page):
    """Long options of a page by command; None for those of every command."""
    found, command, names = {None: set()}, None, commands()
    for line in text_of(f"man/{page}").splitlines():
        head = re.match(r"\.It Cm (\S+)", line)
        if head and head[1] in names:
            command = head[1]
            found[command] = set()
        elif line.startswith(".Sh ") and not line.startswith(".Sh COMMANDS"):
            command = None
        if line.startswith(".It "):
            found[command] |= set(re.findall(r"Fl Fl ([a-z][a-z0-9-]*)", line))
    return found


def source_options(name):
    """Long options in the getopt table of a file of tools/."""
    return set(re.findall(r'^\t\{ "([a-z0-9-]+)", (?:no|required|optional)_argument',
                          text_of(f"tools/{name}"), re.M))


def test_every_command_is_described():
    names = set(commands())
    assert set(page_options("firn.1")) == names | {None}
    files = {p.name[4:-2] for p in (TOP / "tools").glob("cmd_*.c")}
    assert files == names


def test_common_options():
    shown = long_options(firn_help("--help"))
    assert shown == page_options("firn.1")[None]
    assert shown == source_options("tool.c")


@pytest.mark.parametrize("name", sorted(p.name[4:-2] for p in (TOP / "tools").glob("cmd_*.c")))
def test_options_of_command(name):
    """--help, the page and the code know the same long options."""
    common = source_options("tool.c")
    shown = long_options(firn_help(name, "--help")) - common
    assert shown == page_options("firn.1")[name]
    assert shown == source_options(f"cmd_{name}.c")
    assert firn_help(name, "-h") == firn_help("help", name) == firn_help(name, "--help")


def test_exit_statuses():
    """Those of the page, of --help and of the code."""
    section = text_of("man/firn.1").split(".Sh EXIT STATUS\n")[1].split("\n.Sh ")[0]
    page = set(map(int, re.findall(r"^\.It (\d+)$", section, re.M)))
    code = set(map(int, re.findall(r"EXIT_[A-Z_]+ = (\d+)", text_of("tools/tool.h"))))
    said = firn_help("--help").split("Exit status:")[1]
    assert page == code == set(map(int, re.findall(r"\b(\d+) ", said)))


def test_mount_options():
    """firnfs.8 lists what fs/options.c takes, and the usage knows no others."""
    table = text_of("fs/options.c")
    known = {n.rstrip("*") for n in re.findall(r'^\t\{ "([^"]+)", ACT_', table, re.M)}
    section = text_of("man/firnfs.8").split(".Ss Options\n")[1].split(".Ss ")[0]
    listed = set()
    for line in section.splitlines():
        if not line.startswith(".It Cm "):
            continue
        words = line.split()[2:]
        for i, word in enumerate(words):
            if word not in (",", "Cm", "Ns", "Ar") and words[i - 1] != "Ar":
                listed.add(word.rstrip("="))
    assert listed == known
    usage = subprocess.run([BUILD / "firnfs", "-h"], capture_output=True, text=True,
                           check=True).stdout
    shown = set(re.findall(r"^  ([a-z][a-z_-]+)(?:=| {2})", usage, re.M))
    assert shown and shown <= known


def test_status_and_stats():
    """firnfs.8 explains every line of .firn/status and .firn/stats, and no others."""
    code = text_of("fs/status.c")
    said = set(re.findall(r'^\t*(?:line|count|when)\(b, "([^"]+)"', code, re.M))
    said |= {n.replace("%s", "VERB") for n in re.findall(r'"(store-%s[^"]*)"', code)}
    section = text_of("man/firnfs.8").split(".Ss Status and numbers\n")[1].split(".Ss ")[0]
    page = set()
    for words in re.findall(r"^\.It Li (.+)$", section, re.M):
        page |= set(re.sub(r" Ns (?:Ar|Li) ", "", words).split(" , "))
    assert said == page
    verbs = re.search(r"store_verb_name\(.*?\{ (.*?) \};", text_of("core/store/store.c"), re.S)
    for verb in re.findall(r'"([a-z]+)"', verbs[1]):
        assert re.search(rf"^\.Li .*\b{verb}\b", section, re.M), verb


def test_variables():
    """Every variable that the programs read is in firn.1."""
    page = text_of("man/firn.1")
    for directory in ("core", "fs", "tools"):
        for path in (TOP / directory).rglob("*.c"):
            for name in re.findall(r'"((?:FIRN|AWS|XDG)_[A-Z0-9_]+)"',
                                   path.read_text(encoding="utf-8")):
                assert name in page, f"{path.relative_to(TOP)} reads {name}"


# The pages themselves.

@pytest.mark.parametrize("page", PAGES)
def test_lint(page):
    if shutil.which("mandoc") is None:
        pytest.skip("there is no mandoc")
    r = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", TOP / "man" / page],
                       capture_output=True, text=True, check=False)
    assert r.returncode == 0 and r.stdout == "", r.stdout


@pytest.mark.parametrize("page", PAGES)
def test_first_lines(page):
    lines = text_of(f"man/{page}").splitlines()
    name, section = page.rsplit(".", 1)
    assert lines[0] == '.\\" SPDX-License-Identifier: Apache-2.0'
    assert lines[2] == f".Dt {name.upper()} {section}"
    assert not any(line != line.rstrip() for line in lines)


def test_policies_stand_in_their_page():
    page = text_of("man/firn-policy.7")
    files = sorted((TOP / "share/policies").glob("*.json"))
    assert len(files) == 4
    for path in files:
        block = f".Bd -literal -offset indent\n{path.read_text(encoding='utf-8')}.Ed\n"
        assert block in page, path.name


def test_format_page_has_the_format():
    """Magics, labels and ceilings of the headers stand in firn-format.5."""
    page = text_of("man/firn-format.5")
    for path in (TOP / "core/format").glob("*.[ch]"):
        for magic in re.findall(r'"(firn(?:pack|tail|indx|conf|genr|tier))"',
                                path.read_text(encoding="utf-8")):
            assert f'"{magic}"' in page
    for label in re.findall(r'"(firn [a-z ]+)"', text_of("core/crypto/keys.h")):
        assert f"Qq {label} " in page, label
    flags = re.findall(r"ENTRY_([A-Z_]+)\s*= 1u << (\d+)", text_of("core/format/tree.h"))
    assert len(flags) > 10
    for name, bit in flags:
        assert f".It 0x{1 << int(bit):04x} Em {name}\n" in page, name
    number = re.compile(r'^\t\{ "([a-z_]+)", offsetof\(struct config', re.M)
    names = number.findall(text_of("core/format/config.c"))
    assert names
    for name in names:
        assert f".It Li {name} Ta" in page
    for name in re.findall(r'j, "([a-z_]+)"', text_of("core/format/genrec_json.c")):
        assert re.search(rf"\bLi .*\b{name}\b", page), name


# The documents.

def paths_of(text):
    """What looks like a file or directory of this tree, in backquotes."""
    for quoted in re.findall(r"`([^`\n]+)`", text):
        word = quoted.removeprefix("./").rstrip("/").removesuffix("()")
        if re.fullmatch(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*", word):
            yield quoted, word


@pytest.mark.parametrize("document", DOCUMENTS)
def test_files_exist(document):
    tops = {"core", "fs", "tools", "man", "tests", "setup"}
    for quoted, word in paths_of(text_of(document)):
        first = word.split("/")[0]
        named = re.fullmatch(r"[A-Za-z0-9_/.-]+\.(c|h|py|sh|md|am|ac|[158])", word)
        if "NAME" in word or (first not in tops and not named):
            continue
        assert (TOP / word).exists() or any(TOP.glob(f"*/{word}")), \
            f"{document} names {quoted}, which is not there"


@pytest.mark.parametrize("document", DOCUMENTS + [f"man/{p}" for p in PAGES])
def test_plain(document):
    text = text_of(document)
    assert text.endswith("\n") and not text.endswith("\n\n")
    assert "\t" not in text and all(x == x.rstrip() for x in text.splitlines())


def test_layers_are_there():
    """The layers of DESIGN.md are the directories, and nothing includes backwards."""
    block = fenced(text_of("DESIGN.md"))[0]
    layers = [line.split()[0] for line in block.splitlines()]
    order = [x.removeprefix("core/") for x in layers]
    assert all((TOP / x).is_dir() for x in layers)
    assert {p.name for p in (TOP / "core").iterdir() if p.is_dir()} == \
        {x.removeprefix("core/") for x in layers if x.startswith("core/")}
    for layer, name in zip(layers, order):
        for path in (TOP / layer).glob("*.[ch]"):
            for used in re.findall(r'^#include "([a-z]+)/', path.read_text(encoding="utf-8"),
                                   re.M):
                if used in order:
                    assert order.index(used) <= order.index(name) and \
                        (name, used) != ("tools", "fs"), f"{path.name} includes {used}/"


def test_licence():
    text = text_of("LICENSE")
    assert "Apache License" in text and "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_news_names_the_version():
    version = re.search(r"AC_INIT\(\[firnfs\], \[([0-9.]+)\]", text_of("configure.ac"))[1]
    assert text_of("NEWS").startswith(f"firnfs {version}\n")
