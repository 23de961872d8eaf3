"""Prompts of one's own: what they replace, and how mistakes in the file are told."""

import pytest
from scripted import ScriptedModel, ScriptedModels

import pyrec
from pyrec import Recommender
from pyrec.errors import PromptError
from pyrec.prompts import Prompts, fill


def write(tmp_path, text):
    path = tmp_path / "my.toml"
    path.write_text(text, "utf-8")
    return path


def test_a_file_replaces_what_it_names_and_nothing_else(tmp_path):
    path = write(tmp_path, '[en.need]\ntext = "Ask: {question} >"\n')
    own = Prompts(path)
    assert own.load("en", "need").ask("shoes") == "Ask: shoes >"
    assert own.load("en", "need").neutral == Prompts().load("en", "need").neutral
    assert own.load("zh", "need") == Prompts().load("zh", "need")


def test_sentences_can_be_replaced_too(tmp_path, store):
    path = write(tmp_path, '[en.sentences]\nprofile_unknown = "Who is {user}?"\n')
    rec = Recommender(store, ScriptedModels(ScriptedModel()), Prompts(path))
    rec.add_items([{"id": "a", "title": "A"}])
    assert rec.profile("zoe").sentence == "Who is zoe?"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[en.need\n", "is not TOML"),
        ('en = "x"', "is no table"),
        ('[en.nead]\ntext = "x"', "none of need"),
        ('[en.need]\ntexts = "x"', "texts in .en.need. is none of"),
        ("[en.need]\ntext = 3", "give a string"),
        ('[en.need]\nneutral = "x"', "give a list of strings"),
        ('[en.need]\ntext = "Product:"', r"lacks \{question\}"),
        ('[en.need]\ntext = "{question} {user}"', r"holds \{user\}"),
        ('[en.click]\ntext = "{liked} {disliked}"', r"lacks \{item\}"),
        ('[en.click]\ntext = "{item}? {liked} {disliked}"', "behind the other places"),
        ('[en.click]\nyes = " "', "two different words"),
        ('[en.click]\nyes = " No"', "two different words"),
        ('["/tmp/x".need]\ntext = "x"', "is no code"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path, text, told):
    with pytest.raises(PromptError, match=told) as caught:
        Prompts(write(tmp_path, text))
    assert "my.toml" in str(caught.value)


def test_a_file_that_is_not_there_is_told_before_anything_is_made(tmp_path):
    with pytest.raises(PromptError, match="gone"):
        pyrec.open(tmp_path / "x.db", text_model=None, prompts=tmp_path / "gone.toml")
    assert not (tmp_path / "x.db").exists()


def test_braces_of_others_stay_as_they_are():
    assert fill("{a} and {b}", a="{b}", b="x{a}") == "{b} and x{a}"


def test_a_language_is_a_code_with_or_without_its_region():
    assert Prompts().table("zh-CN", "sentences") == Prompts().table("zh", "sentences")
    with pytest.raises(PromptError, match="no code"):
        Prompts().table("/tmp/x", "sentences")


def test_a_language_without_a_file_follows_what_replaces_english(tmp_path):
    own = Prompts(write(tmp_path, '[en.need]\ntext = "Ask: {question} >"\n'))
    assert own.load("ru", "need").text == "Ask: {question} >"
