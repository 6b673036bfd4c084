"""What a form asks of a device is said in words, with its unit."""

from zoneinfo import ZoneInfo

import pytest
from tests.shipped_profiles import shipped_profiles

from dutyroom.api.parameter_words import meanings
from dutyroom.api.words import LANGUAGES, Words, read_catalogue
from dutyroom.profiles.loading import read_profile

CATALOGUE = read_catalogue()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_parameter_that_a_shipped_profile_needs_has_words(language: str) -> None:
    words = Words(language, CATALOGUE, ZoneInfo("UTC"))
    asked = [profile for profile in shipped_profiles() if profile.needed]
    assert asked
    assert {p.id: set(p.needed) - set(meanings(words, p)) for p in asked} == {p.id: set() for p in asked}


def test_a_profile_of_a_site_has_its_names_alone() -> None:
    own = read_profile(
        """
class: tank
match: {topics: ["t/{id}"]}
identity: "{id}"
parameters: {empty_at: }
points: {level: {value: "empty_at - d", quantity: level}}
""",
        "acme/tank",
    )
    assert own.needed == ("empty_at",)
    assert meanings(Words("en", CATALOGUE, ZoneInfo("UTC")), own) == {}
