# SPDX-License-Identifier: Apache-2.0
"""Where data packs live: `firn tier`, --tier, and that only they ever go cold."""
import base64
import hashlib
import json
import pathlib
import re
import subprocess
import threading

import pytest

from conftest import s3_environment
from firn_tool import Firn, assert_same, wait_for
from objects import BucketObjects
from s3sim import S3Sim
from s3sim.client import Client

DAY = 86400
PREFIX = "some/prefix"
PRICES = pathlib.Path(__file__).resolve().parents[2] / "data" / "prices.conf"
LIFECYCLE = {"lifecycle": ""}


@pytest.fixture
def bucket(work):
    """A place in the simulator without a repository yet."""
    with S3Sim(["bucket"], data_dir=str(work / "sim")) as server:
        firn = Firn(work, f"s3://bucket/{PREFIX}", s3_environment(server.url))
        firn.objects = BucketObjects(server.url, "AKIDTEST", "SECRETTEST", "bucket", PREFIX)
        firn.sim = server
        yield firn


@pytest.fixture
def prices():
    """At a store that is not Amazon's they have to be asked for."""
    return str(PRICES)


def classes(firn, prefix=""):
    """{name of an object: its storage class} below a prefix of the repository."""
    bucket = firn.sim.bucket("bucket")
    start = f"{PREFIX}/"
    return {v.key[len(start):]: v.storage_class
            for v in bucket.matching(prefix=start + prefix)}


def make_files(directory, n=4, seed=0, size=300_000):
    directory.mkdir(exist_ok=True)
    for i in range(n):
        text = b"".join(hashlib.sha256(f"{seed} {i} {k}".encode()).digest()
                        for k in range(size // 32))
        (directory / f"file{seed}-{i}").write_bytes(text)
    return directory


def init(firn, *args):
    firn("init", "--kdf-memory", "1M", "--pack-size", "256K", *args)


def shown(firn, *args, **kw):
    return json.loads(firn("tier", *args, "--json", **kw).out)


def by_class(answer):
    return {(row["class"], row["state"]): row["packs"] for row in answer["classes"]}


def test_init_says_where(bucket, work):
    init(bucket, "--tier", "DEEP_ARCHIVE")
    assert set(classes(bucket).values()) == {"STANDARD"}
    make_files(work / "src")
    bucket.backup(work / "src")
    assert set(classes(bucket, "data/").values()) == {"DEEP_ARCHIVE"}
    others = {name: of for name, of in classes(bucket).items()
              if not name.startswith("data/")}
    assert set(others.values()) == {"STANDARD"}
    # From another host too.
    make_files(work / "src", seed=1)
    other = bucket.client()
    other.backup(work / "src", "--host", "other")
    assert set(classes(bucket, "data/").values()) == {"DEEP_ARCHIVE"}
    answer = shown(bucket)
    assert answer["default"]["class"] == "DEEP_ARCHIVE"
    assert list(by_class(answer)) == [("DEEP_ARCHIVE", "cold or thawed")]


def test_set_changes_it(bucket, work):
    init(bucket)
    assert "default" not in shown(bucket)
    for of in "GLACIER_IR", "STANDARD_IA", "GLACIER":
        assert shown(bucket, "set", of)["class"] == of
        assert shown(bucket)["default"]["class"] == of
    make_files(work / "src")
    bucket.backup(work / "src")
    assert set(classes(bucket, "data/").values()) == {"GLACIER"}
    # What a backup says goes before.
    make_files(work / "src", seed=1)
    before = set(classes(bucket, "data/"))
    bucket.backup(work / "src", "--tier", "ONEZONE_IA")
    new = {of for name, of in classes(bucket, "data/").items() if name not in before}
    assert new == {"ONEZONE_IA"}
    assert len(classes(bucket, "tier/")) == 3
    assert set(classes(bucket, "tier/").values()) == {"STANDARD"}


def test_class_that_the_server_has_not(bucket, work):
    """It is not set, and backups go on."""
    init(bucket)
    answer = bucket("tier", "set", "GLACEIR", status=1).err
    assert "no such storage class" in answer and "stays as it is" in answer
    assert classes(bucket, "tier/") == {} and classes(bucket, "probe/") == {}
    bucket.backup(make_files(work / "src"))
    bucket("tier", "set", "GLACIER")
    assert classes(bucket, "probe/") == {}


def test_damaged_setting_is_passed_over(bucket, work):
    init(bucket)
    bucket("tier", "set", "GLACIER_IR")
    bucket("tier", "set", "GLACIER")
    last = sorted(classes(bucket, "tier/"))[-1]
    data = bytearray(bucket.objects.get(last))
    data[-1] ^= 1
    bucket.objects.put(last, bytes(data))
    answer = bucket("tier", "--json")
    assert json.loads(answer.out)["default"]["class"] == "GLACIER_IR"
    assert "is damaged" in answer.err and len(answer.err.splitlines()) == 1


def test_setting_that_may_not_be_read(bucket, work):
    """A backup says it in one line, with the cause, and goes to the class of init."""
    init(bucket, "--tier", "STANDARD_IA")
    bucket("tier", "set", "GLACIER")
    bucket.sim.faults.add(kind="403", verb="GetObject", prefix=f"{PREFIX}/tier/")
    lines = bucket("backup", make_files(work / "src")).err.splitlines()
    said = [line for line in lines if "tier" in line]
    assert len(said) == 1 and "warning" in said[0] and "STANDARD_IA" in said[0], lines
    assert "AccessDenied" in said[0] or "denied" in said[0]
    assert set(classes(bucket, "data/").values()) == {"STANDARD_IA"}


def test_setting_that_cannot_be_read_is_passed_over(bucket, work):
    init(bucket)
    bucket("tier", "set", "STANDARD_IA")
    last = sorted(classes(bucket, "tier/"))[-1]
    good = bucket.objects.get(last)
    far = "tier/2099-01-01T000000Z-"
    bucket.objects.put(far + "0" * 16, b"x" * 5000)
    bucket.objects.put(far + "1" * 16, good.replace(b"firntier", b"firntire", 1))
    bucket.objects.put(far + "2" * 16, good)
    bucket.sim.bucket("bucket").matching(
        keys=[f"{PREFIX}/{far}{'2' * 16}"])[0].storage_class = "GLACIER"
    newer = bytearray(good)
    newer[8] ^= 0x40		# the version, behind the magic
    bucket.objects.put(far + "3" * 16, bytes(newer))
    answer = bucket("tier", "--json")
    assert json.loads(answer.out)["default"]["class"] == "STANDARD_IA"
    for word in ("too big", "damaged", "archived", "newer version"):
        assert word in answer.err, answer.err
    # Nor do they hold up the next one.
    bucket("tier", "set", "GLACIER_IR")
    assert sorted(classes(bucket, "tier/"))[-1].startswith("tier/2099-01-01T000001Z-")
    bucket.backup(make_files(work / "src"))
    assert set(classes(bucket, "data/").values()) == {"GLACIER_IR"}


def test_who_may_set(bucket, work):
    init(bucket)
    (work / "writer").write_text("another password\n")
    bucket("key", "add", "--role", "write-only", "--new-password-file", work / "writer")
    writer = {"FIRN_PASSWORD_FILE": str(work / "writer")}
    assert "owner" in bucket("tier", "set", "GLACIER", status=12, env=writer).err
    assert classes(bucket, "tier/") == {}


def test_wrong_use(bucket, work, local):
    init(bucket)
    for words in (["move"], ["set"], ["rule", "GLACIER"], ["rule", "none", "x"],
                  ["set", "two words"], ["rule", "GLACIER", "soon"], ["what"],
                  ["--older-than", "3"], ["move", "GLACIER", "--older-than", "x"]):
        bucket("tier", *words, status=2)
    assert "no storage classes" in local("tier", "set", "GLACIER", status=1).err
    assert "no storage classes" in local("tier").out
    fresh = Firn(work, str(work / "fresh"))
    assert "no storage classes" in fresh("init", "--tier", "GLACIER", status=2).err
    bucket.sim.set_quirks(add=["any-class"])
    unknown = bucket("tier", "set", "COLD_STORE")
    assert "'COLD_STORE' is not one that firn knows" in unknown.err


def test_profile_with_a_tier_and_a_directory(work):
    (work / "config" / "firn").mkdir(parents=True)
    (work / "config" / "firn" / "both.conf").write_text("tier = GLACIER\n")
    firn = Firn(work, str(work / "fresh"))
    firn.env["XDG_CONFIG_HOME"] = str(work / "config")
    firn("-p", "both", "init", "--kdf-memory", "1M")
    assert firn("-p", "both", "backup", make_files(work / "src")).err == ""


def test_move(bucket, work, prices):
    init(bucket)
    src = make_files(work / "src")
    bucket.backup(src)
    n = len(classes(bucket, "data/"))
    assert n >= 2
    assert bucket("tier", "move", "GLACIER", status=2).err.count("--yes") == 1
    answer = shown(bucket, "move", "GLACIER", "-n", "--prices", prices)
    assert (answer["packs"], answer["moved"]) == (n, 0)
    assert set(classes(bucket, "data/").values()) == {"STANDARD"}
    assert shown(bucket, "move", "GLACIER", "--yes", "--older-than", "1")["packs"] == 0
    bucket.sim.meter.reset()
    answer = shown(bucket, "move", "GLACIER", "--yes", "--prices", prices)
    assert answer["moved"] == answer["packs"] == n
    assert set(classes(bucket, "data/").values()) == {"GLACIER"}
    others = {of for name, of in classes(bucket).items() if not name.startswith("data/")}
    assert others == {"STANDARD"}
    # As quoted: n copies; looking at them apart.
    assert float(answer["quote"]) == pytest.approx(n * .03 / 1000, rel=1e-6)
    again = shown(bucket, "move", "GLACIER", "--yes")
    assert again["packs"] == 0
    # What is archived stays, and is said.
    back = shown(bucket, "move", "STANDARD", "--yes")
    assert (back["packs"], back["archived"]) == (0, n)
    assert bucket.check()[0] == []


def test_cost_in_the_end_is_by_the_class(bucket, work, prices):
    init(bucket, "--tier", "STANDARD_IA")
    bucket.backup(make_files(work / "src", n=8))
    n = len(classes(bucket, "data/"))
    bucket.sim.meter.reset()
    answer = shown(bucket, "move", "DEEP_ARCHIVE", "--yes", "--prices", prices)
    assert answer["moved"] == n
    asked = answer["store"]["requests"]
    want = (asked["copy"] * .05 + asked["list"] * .005
            + (asked["get"] + asked["stat"]) * .0004) / 1000
    assert float(answer["store"]["cost"]["requests"]) == pytest.approx(want, rel=.1)


def test_move_goes_on_where_it_stopped(bucket, work):
    init(bucket)
    bucket.backup(make_files(work / "src", n=12))
    n = len(classes(bucket, "data/"))
    bucket.sim.faults.add("403", verb="CopyObject", nth=3)
    failed = bucket("tier", "move", "STANDARD_IA", "--yes", status=1)
    assert "access denied" in failed.err
    bucket.sim.faults.clear()
    left = sum(of == "STANDARD" for of in classes(bucket, "data/").values())
    assert 0 < left < n
    bucket.sim.stats.reset()
    assert shown(bucket, "move", "STANDARD_IA", "--yes")["moved"] == left
    assert bucket.sim.stats.operations["CopyObject"] == left
    assert set(classes(bucket, "data/").values()) == {"STANDARD_IA"}
    assert bucket.check("--read-data")[0] == []


OTHERS = ('<Rule>\n  <ID>theirs &amp; more</ID><Filter><And><Prefix>logs/</Prefix>'
          '<ObjectSizeGreaterThan>131072</ObjectSizeGreaterThan></And></Filter>'
          '<Status>Enabled</Status><Expiration><Days>30</Days></Expiration>'
          '<Unheard><Of>x</Of></Unheard></Rule>')
MINIMUM = "x-amz-transition-default-minimum-object-size"


def put_rules(firn, *rules):
    body = f"<LifecycleConfiguration>{''.join(rules)}</LifecycleConfiguration>".encode()
    with Client(firn.sim.url) as s3:
        answer = s3.request("PUT", "bucket", query=LIFECYCLE, body=body, headers={
            "x-amz-checksum-sha256": sha256(body), MINIMUM: "varies_by_storage_class"})
    assert answer.status == 200, answer


def sha256(body):
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


def test_rule(bucket, work):
    init(bucket)
    put_rules(bucket, OTHERS)
    assert "rule" not in shown(bucket)
    bucket("tier", "rule", "DEEP_ARCHIVE", "3", status=2)	# --yes is missing
    assert "rule" not in shown(bucket)
    answer = shown(bucket, "rule", "DEEP_ARCHIVE", "3", "--yes")
    assert answer["rule"] == {"class": "DEEP_ARCHIVE", "days": 3}
    assert answer["other_rules"] == 1 and answer["harmful_rules"] == []
    data, minimum = bucket.sim.bucket("bucket").lifecycle
    assert OTHERS.encode() in data and minimum == "varies_by_storage_class"
    assert f"{PREFIX}/data/".encode() in data
    bucket.backup(make_files(work / "src"))
    bucket.sim.clock.advance(3 * DAY)
    assert bucket.sim.run_lifecycle("bucket") == len(classes(bucket, "data/"))
    assert set(classes(bucket, "data/").values()) == {"DEEP_ARCHIVE"}
    others = {of for name, of in classes(bucket).items() if not name.startswith("data/")}
    assert others == {"STANDARD"}
    answer = shown(bucket, "rule", "none")
    assert "rule" not in answer and answer["other_rules"] == 1
    data, minimum = bucket.sim.bucket("bucket").lifecycle
    assert data.decode() == f"<LifecycleConfiguration>{OTHERS}</LifecycleConfiguration>"
    assert minimum == "varies_by_storage_class"


def test_rule_on_a_real_server(on_rgw, rgw):
    """Beside those of others, in Ceph RGW."""
    theirs = ("<Rule><ID>theirs</ID><Filter><Prefix>logs/</Prefix></Filter>"
              "<Status>Enabled</Status><Expiration><Days>30</Days></Expiration></Rule>")
    bucket = on_rgw.url.removeprefix("s3://").split("/")[0]
    body = f"<LifecycleConfiguration>{theirs}</LifecycleConfiguration>".encode()
    with Client(rgw.url, rgw.access_key, rgw.secret_key) as s3:
        def rules():
            answer = s3.request("GET", bucket, query=LIFECYCLE)
            assert answer.status == 200, answer
            return set(re.findall(r"<ID>(.*?)</ID>", answer.body.decode()))
        md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
        answer = s3.request("PUT", bucket, query=LIFECYCLE, body=body,
                            headers={"content-md5": md5})
        assert answer.status == 200 and rules() == {"theirs"}
        answer = shown(on_rgw, "rule", "GLACIER", "3", "--yes")
        assert answer["rule"] == {"class": "GLACIER", "days": 3}
        assert answer["other_rules"] == 1 and len(rules()) == 2 and "theirs" in rules()
        shown(on_rgw, "rule", "none")
        assert rules() == {"theirs"}


def rule_text(name, prefix, actions):
    return (f"<Rule><ID>{name}</ID><Filter><Prefix>{prefix}</Prefix></Filter>"
            f"<Status>Enabled</Status>{actions}</Rule>")


EXPIRE = "<Expiration><Days>30</Days></Expiration>"


@pytest.mark.parametrize("fault", ["503-slowdown", "500", "lost-reply", "500-after-commit"])
def test_rule_never_puts_back_what_was(bucket, fault):
    """Somebody adds a rule while ours meets with failures."""
    init(bucket)
    theirs, later = (rule_text(name, f"{name}/", EXPIRE) for name in ("theirs", "later"))
    put_rules(bucket, theirs)
    bucket.sim.faults.add(fault, verb="PutBucketLifecycle")
    place = bucket.sim.bucket("bucket")

    def add():
        wait_for(lambda: any(r.operation == "PutBucketLifecycle" and r.status != 200
                             for r in bucket.sim.requests[before:]), "a put of rules")
        data, minimum = place.lifecycle
        end = b"</LifecycleConfiguration>"
        place.lifecycle = (data.replace(end, later.encode() + end), minimum)
        bucket.sim.faults.clear()

    before = len(bucket.sim.requests)
    other = threading.Thread(target=add)
    other.start()
    bucket("tier", "rule", "GLACIER", "3", "--yes")
    other.join()
    text = place.lifecycle[0].decode()
    assert theirs in text and later in text and text.count("<Rule>") == 3


def test_rule_where_the_put_is_answered(bucket):
    init(bucket)
    bucket.sim.set_quirks(add=["rules-echoed"])
    assert shown(bucket, "rule", "GLACIER", "3", "--yes", "--timeout", "20")["rule"] == {
        "class": "GLACIER", "days": 3}
    assert bucket.sim.stats.operations["PutBucketLifecycle"] == 1


def test_rule_is_quoted_with_what_is_archived(bucket, work, prices):
    init(bucket, "--tier", "GLACIER")
    bucket.backup(make_files(work / "src"))
    n = len(classes(bucket, "data/"))
    early = json.loads(bucket("cost", "--json", "--prices", prices).out)["early"]

    def quote(to, days):
        text = bucket("tier", "rule", to, days, "-n", "--prices", prices).err
        return re.search(r"move (\d+) packs .*\((\d+) of them", text).groups(), text

    (moved, cold), text = quote("DEEP_ARCHIVE", "0")
    assert (int(moved), int(cold)) == (n, n)
    least = float(re.search(r"passed ([\d.]+)\)", text)[1])
    assert least > 0 and least == pytest.approx(float(early), rel=1e-6)
    # Once they are so old, nothing is left to pay; and nothing goes back up.
    assert float(re.search(r"passed ([\d.]+)\)", quote("DEEP_ARCHIVE", "90")[1])[1]) == 0
    assert quote("GLACIER_IR", "0")[0] == ("0", "0")


def test_rule_of_ours_that_others_changed(bucket):
    init(bucket)
    bucket("tier", "rule", "GLACIER", "3", "--yes")
    place = bucket.sim.bucket("bucket")
    good, minimum = place.lifecycle
    for old, new, words in (
            (b"</Transition>", b"</Transition>" + EXPIRE.encode(), "deletes objects"),
            (f"{PREFIX}/data/".encode(), b"some/", "moves metadata"),
            (b"<Transition>", b"<Transition><Days>1</Days><StorageClass>GLACIER_IR"
             b"</StorageClass></Transition><Transition>", "")):
        changed = good.replace(old, new)
        assert changed != good
        place.lifecycle = (changed, minimum)
        assert words in bucket("tier").err
        answer = shown(bucket, "rule", "GLACIER", "3", "--yes")
        assert answer["harmful_rules"] == [] and answer["other_rules"] == 0
        assert place.lifecycle[0] == good


def test_server_without_rules(bucket):
    """It takes the question for another."""
    init(bucket)
    bucket.sim.set_quirks(add=["no-rules"])
    assert "the server has none" in bucket("tier").err
    assert bucket.sim.stats.operations["GetBucketLifecycle"] == 1


def test_rules_that_do_harm(bucket):
    init(bucket)
    put_rules(bucket, "<Rule><ID>tidy</ID><Filter><Prefix>some/</Prefix></Filter>"
              "<Status>Enabled</Status><Transition><Days>1</Days><StorageClass>GLACIER"
              "</StorageClass></Transition><Expiration><Days>400</Days></Expiration></Rule>")
    answer = bucket("tier")
    assert "'tidy' deletes objects of this repository" in answer.err
    assert "'tidy' moves metadata of this repository to GLACIER" in answer.err
    assert shown(bucket)["harmful_rules"] == [
        {"id": "tidy", "deletes": True, "archives": "GLACIER"}]


def test_rules_without_the_right(bucket):
    init(bucket)
    bucket.sim.users.deny("s3:GetLifecycleConfiguration")
    answer = bucket("tier")
    assert "s3:GetLifecycleConfiguration" in answer.err and "STANDARD" in answer.out


@pytest.mark.usefixtures("fuse")
def test_all_but_contents_needs_no_thaw(bucket, work, prices):
    """With every data pack in DEEP_ARCHIVE: no get is refused, nothing is restored."""
    init(bucket, "--tier", "DEEP_ARCHIVE")
    src = make_files(work / "src")
    (src / "small").write_text("in its entry\n")
    bucket.backup(src)
    packs = classes(bucket, "data/")
    assert set(packs.values()) == {"DEEP_ARCHIVE"}
    bucket.sim.stats.reset()
    host = bucket.client("fresh")		# without local state
    assert len(host.generations()) == 1
    assert "file0-0" in host("ls", "-R", "latest").out
    with host.mount(options="cold=wait") as mnt:
        here = mnt / "latest" / str(src).lstrip("/")
        assert sorted(p.name for p in here.iterdir()) == sorted(
            p.name for p in src.iterdir())
        for command in (["find", mnt, "-ls"], ["ls", "-lR", mnt]):
            found = subprocess.run(command, check=True, capture_output=True).stdout
            assert found.count(b"file0-0") >= 1
        assert all(p.stat().st_size == (src / p.name).stat().st_size
                   for p in here.iterdir())
        assert (here / "small").read_text() == "in its entry\n"
    put = bucket.sim.stats.operations["PutObject"]
    summary = host.backup(src, "--force", "--host", "another")	# reads all again
    names = [r.key for r in bucket.sim.requests if r.operation == "PutObject"]
    assert summary and not [n for n in names[put:] if f"{PREFIX}/data/" in n]
    assert host.check()[0] == []
    host("key", "list")
    host("doctor", status=None)
    host("cost", "--prices", prices)
    assert classes(bucket, "data/") == packs
    refused = [(r.operation, r.key) for r in bucket.sim.requests
               if r.code == "InvalidObjectState"]
    assert refused == []
    # doctor asks for the thaw of an object that is not there, to see if it may.
    assert all(set(answers) == {"NoSuchKey"}
               for answers in bucket.sim.stats.restores_of("bucket").values())
    got = [r for r in bucket.sim.requests if r.operation == "GetObject"
           and r.key.startswith(f"{PREFIX}/data/")]
    assert got == []


def test_behind_the_gate(work, rgw):
    """The same with bytes from Ceph RGW, and its own class GLACIER."""
    rgw.create_bucket("behindgate")
    gate = (rgw.url, rgw.access_key, rgw.secret_key, "behindgate", rgw.storage_classes)
    with S3Sim(["bucket"], gate=gate) as server:
        firn = Firn(work, f"s3://bucket/{PREFIX}", s3_environment(server.url))
        firn.sim = server
        init(firn)
        src = make_files(work / "src")
        firn.backup(src)
        packs = len(classes(firn, "data/"))
        assert shown(firn, "move", "GLACIER", "--yes")["moved"] == packs
        assert firn.check()[0] == []
        real = BucketObjects(*gate[:3], "behindgate", PREFIX)
        stored = [row for row in heads(real) if row[0].startswith(f"{PREFIX}/data/")]
        assert [row[1] for row in stored] == ["GLACIER"] * packs, stored
        firn("restore", "latest", work / "cold", status=1)
        for name in classes(firn, "data/"):
            thaw(server, name)
        assert server.make_ready("bucket", prefix=f"{PREFIX}/data/") == packs
        firn("restore", "latest", work / "out")
        assert_same(src, work / "out" / str(src).lstrip("/"))


def heads(objects):
    """(key, storage class) of all that another server holds."""
    with Client(*objects.account) as s3:
        answer = s3.request("GET", objects.bucket, query={"list-type": "2"})
    keys = re.findall(r"<Key>(.*?)</Key>", answer.body.decode())
    of = re.findall(r"<StorageClass>(.*?)</StorageClass>", answer.body.decode())
    assert len(keys) == len(of)
    return list(zip(keys, of))


def thaw(server, name):
    body = b"<RestoreRequest><Days>1</Days></RestoreRequest>"
    with Client(server.url) as s3:
        answer = s3.request("POST", "bucket", f"{PREFIX}/{name}", {"restore": ""}, body)
    assert answer.status == 202, answer


def test_cost(bucket, work, prices):
    init(bucket, "--tier", "DEEP_ARCHIVE")
    bucket.backup(make_files(work / "src"))
    assert "--prices" in bucket("cost", status=1).err
    answer = json.loads(bucket("cost", "--json", "--prices", prices).out)
    sizes = [v.size for v in bucket.sim.bucket("bucket").matching(prefix=f"{PREFIX}/data/")]
    gb = 1 << 30
    month = (sum(sizes) + 32768 * len(sizes)) / gb * .00099 + 8192 * len(sizes) / gb * .023
    data = [row for row in answer["classes"] if row["what"] == "data"]
    assert [row["class"] for row in data] == ["DEEP_ARCHIVE"]
    assert float(data[0]["month"]) == pytest.approx(month, rel=.001)
    assert answer["young_packs"] == len(sizes)
    assert float(answer["early"]) == pytest.approx(6 * month, rel=.01)
    thaw = answer["restore"]["thaw"]
    assert set(thaw) == {"standard", "bulk"}
    bulk = (.0025 * sum(sizes) / gb + .025 / 1000 * len(sizes)
            + 2 * .023 / 30 * sum(sizes) / gb)
    assert float(thaw["bulk"]) == pytest.approx(bulk, rel=.001)
    assert float(answer["restore"]["transfer"]) == pytest.approx(
        .09 * sum(sizes) / gb, rel=.001)
    assert answer["prices"]["date"] and len(answer["generations"]) == 1
    # The meter, after a month, agrees.
    bucket.sim.meter.reset()
    bucket.sim.clock.advance(30 * DAY)
    assert float(answer["month"]) == pytest.approx(
        bucket.sim.meter.describe()["storage"], rel=.01)
    text = bucket("cost", "--prices", prices).out
    assert re.search(r"by the prices of .*, 20\d\d-\d\d-\d\d", text)


def test_archive_that_is_read_at_once(on_rgw, work):
    """Ceph has the class GLACIER, reads what is in it, and thaws nothing."""
    src = make_files(work / "src")
    on_rgw.backup("--tier", "GLACIER", src)
    packs = len(on_rgw.objects.names("data/"))
    assert {of for of, _ in by_class(shown(on_rgw))} == {"GLACIER"}
    # There is nothing to be thawed, and nothing fails for that.
    r = on_rgw("thaw", "--yes", "--wait", "--poll", "1", "latest")
    assert "can be read now" in r.out and r.err == "" and on_rgw.json("thaw", "--list") == []
    other = on_rgw.client()
    other("restore", "--thaw", "--yes", "--poll", "1", f"latest:{src}", work / "out")
    assert_same(src, work / "out")
    answer = shown(on_rgw, "move", "STANDARD", "--dry-run")
    assert (answer["packs"], answer["archived"]) == (packs, 0)
    answer = shown(on_rgw, "move", "STANDARD", "--yes")
    assert (answer["moved"], answer["archived"]) == (packs, 0)
    assert {of for of, _ in by_class(shown(on_rgw))} == {"STANDARD"}
    assert on_rgw.check()[0] == []
