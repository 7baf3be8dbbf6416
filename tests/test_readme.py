"""What the README says is what the committed records say, and its example runs."""

import re

import pytest
import update_readme


def test_numbers_and_figure_are_those_of_the_records(capsys):
    assert update_readme.main(["--check"]) == 0, capsys.readouterr().out


def test_a_changed_number_is_noticed():
    text = "a\n<!-- table1 -->\nold\n<!-- /table1 -->\nb"
    assert update_readme.with_table(text, "new") == "a\n<!-- table1 -->\n\nnew\n\n<!-- /table1 -->\nb"
    with pytest.raises(SystemExit, match="lost its markers"):
        update_readme.with_table("nothing here", "new")


def test_the_examples_run(repository):
    blocks = re.findall(r"```python\n(.*?)```", (repository / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(blocks) == 2
    # The first one's size is for readers; a small network tells as much here.
    code = "\n".join(blocks).replace("rand(8, 3, 64, 64)", "rand(1, 3, 32, 32)")
    scope: dict = {}
    exec(compile(code, "README.md", "exec"), scope)
    assert scope["nearest"].success.all()
    assert (scope["nearest"].l2_norm <= scope["chosen"].l2_norm * 1.001).all()
    assert scope["bounds"].lower <= scope["bounds"].upper
