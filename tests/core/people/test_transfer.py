"""Settings as a file: what is written is read back, and a bad file changes nothing and says why."""

from __future__ import annotations

import pytest

from core.people import transfer
from core.people.fields import Refused, Terms
from core.people.spaces import Allowance, SpaceSettings
from core.texts import languages, say

TERMS = Terms(models=("a", 'b "quoted"'), currency="EUR")
SOME = SpaceSettings(
    models=("a", 'b "quoted"'),
    passive=False,
    keep_days=7,
    quiet="22:00-07:00",
    only_channels=("1", "2"),
    person_allowance=Allowance(day_money=0, month_money=1, day_images=3),
    roles={"discord:1": "admin"},
)


def test_what_is_written_is_read_back() -> None:
    data = transfer.written(SOME, "discord:1:2")
    wanted = transfer.read(data, TERMS)
    assert transfer.steps(SOME, wanted) == []
    assert transfer.applied(SpaceSettings(roles=SOME.roles), wanted) == SOME
    # A file sets back what it says nobody chose, and leaves roles alone.
    other = SpaceSettings(model="a", roles={"discord:2": "blocked"}, space_limit="1/day")
    assert transfer.applied(other, wanted) == SOME.model_copy(update={"roles": other.roles})
    assert "discord:1" not in data.decode().replace("discord:1:2", "")


def test_what_a_file_leaves_out_stays() -> None:
    wanted = transfer.read(b'format = 1\n[settings]\nkeep_days = 30\nquiet = "auto"\n', TERMS)
    (quiet, days) = transfer.steps(SOME, wanted)
    assert (quiet.field.name, quiet.before, quiet.after) == ("quiet", "22:00-07:00", None)
    assert (days.field.name, days.before, days.after) == ("keep_days", 7, 30)
    assert transfer.applied(SOME, wanted).models == SOME.models


BAD: list[tuple[bytes, str]] = [
    (b"format = 2\n[settings]\n", "import_newer"),
    (b"format = 99\nstrange = 1\n", "import_newer"),
    (b"[settings]\n", "import_foreign"),
    (b"format = 0\n[settings]\n", "import_foreign"),
    (b"format = true\n[settings]\n", "import_foreign"),
    (b"format = 1\nsettings = 3\n", "import_foreign"),
    (b"", "import_foreign"),
    (b"format = 1\n[settings]\nroles = {}\n", "import_unknown"),
    (b'format = 1\n[settings]\n"**bold**\\n" = 1\n', "import_unknown"),
    (b"format = 1\nadmin = 1\n[settings]\n", "import_unknown"),
    (b"format = 1\n[settings]\nkeep_days = 5\nkeep_days = 6\n", "import_broken"),
    (b"\xff\xfe", "import_broken"),
    (b"x = " + b"[" * 50_000, "import_broken"),
    (b"x = " + b"9" * 5000, "import_broken"),
    (b"#" * 70_000, "import_large"),
    (b"format = 1\n[settings]\nkeep_days = 0\n", "field_wrong.number"),
    (b"format = 1\n[settings]\nspace_day_money = -1.5\n", "field_wrong.money"),
    (b"format = 1\n[settings]\nspace_day_money = nan\n", "field_wrong.money"),
    (b"format = 1\n[settings]\nmodel = 'gone'\n", "field_wrong.choice"),
    (b"format = 1\n[settings]\nquiet = 2026-01-01\n", "field_wrong.hours"),
]


def test_a_bad_file_says_why() -> None:
    for data, key in BAD:
        with pytest.raises(Refused) as refused:
            print(data[:100], transfer.read(data, TERMS))
        assert refused.value.key == key, data[:100]
        for code in languages():
            assert "\n" not in say(key, code, **refused.value.values)
