"""What a request itself says of its price: characters to be spoken, pictures and their size."""

from __future__ import annotations

import pytest

from provider_replies import text_of
from tollkeeper.wire.asked import NOTHING, Asked, asked_in_form, asked_in_json
from tollkeeper.wire.json_object import read_members


def _spoken(**fields: object) -> Asked:
    return asked_in_json("openai_speech", read_members(text_of(fields).encode()), "tts-1", 1)


def _pictures(model: str, choices: int = 1, **fields: object) -> Asked:
    members = read_members(text_of(fields).encode())
    return asked_in_json("openai_images", members, model, choices)


@pytest.mark.parametrize("text", ["hello", "Grüße", "世界 🌍", 'say "x"\n', " "])
def test_speech_is_counted_in_characters(text: str) -> None:
    assert _spoken(input=text) == Asked({"input_characters": len(text)})


def test_escaped_characters_are_one_each() -> None:
    members = read_members(b'{"input":"\\u00fc\\ud83c\\udf0d\\n"}')
    assert asked_in_json("openai_speech", members, "", 1).units == {"input_characters": 3}


@pytest.mark.parametrize("said", [{}, {"input": ""}, {"input": 7}, {"input": None}, {"input": [1]}])
def test_what_cannot_be_spoken_asks_for_nothing(said: dict[str, object]) -> None:
    assert _spoken(**said) == NOTHING


@pytest.mark.parametrize(
    ("fields", "terms"),
    [
        ({}, "quality=standard size=1024x1024"),
        ({"size": "auto", "quality": "auto"}, "quality=standard size=1024x1024"),
        ({"size": None, "quality": None}, "quality=standard size=1024x1024"),
        ({"size": "1024x1792", "quality": "hd"}, "quality=hd size=1024x1792"),
        ({"size": "256x256"}, "quality=standard size=256x256"),
        ({"size": "HD X", "quality": 7}, "quality=standard size=1024x1024"),
        ({"size": "x" * 40}, "quality=standard size=1024x1024"),
        ({"size": "512x512 tier=free"}, "quality=standard size=1024x1024"),
    ],
)
def test_pictures_of_dall_e_have_a_size_and_a_quality(
    fields: dict[str, object], terms: str
) -> None:
    assert _pictures("dall-e-3", 2, **fields) == Asked({"images": 2}, terms)


def test_a_model_that_the_path_names_may_be_dall_e() -> None:
    assert _pictures("", size="1024x1792").terms == "quality=standard size=1024x1792"


def test_other_models_have_the_terms_that_were_asked_for() -> None:
    assert _pictures("gpt-image-1").terms == ""
    assert _pictures("gpt-image-1", quality="high", size="auto").terms == "quality=high"


def test_forms_say_the_same() -> None:
    said = asked_in_form("openai_images", {"size": "512x512"}, "dall-e-2", 3)
    assert said == Asked({"images": 3}, "quality=standard size=512x512")
    assert asked_in_form("openai_transcription", {"size": "512x512"}, "dall-e-2", 3) == NOTHING
