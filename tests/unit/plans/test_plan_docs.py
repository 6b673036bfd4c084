"""The examples in the documents are read without a mistake."""

from __future__ import annotations

import re
from pathlib import Path

from dutyroom.metering.tariff import parse_tariffs
from dutyroom.plans import parse_plans

DOCS = Path(__file__).parents[3] / "docs"


def examples(page: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(r"^```yaml\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def test_plans():
    (plan,) = parse_plans(examples("plans.md")[0], "plans.md")
    assert plan.proof is not None


def test_tariffs():
    tariffs, shares = parse_tariffs(examples("billing.md")[0], "billing.md")
    assert [t.basis for t in tariffs] == ["month", "year"]
    assert [s.less for s in shares] == [("A-shop-power",)]
