"""Lets the API reference show a docstring's `Example:` section as code, as it does `Examples:`."""

import re
from typing import Any

import griffe


class ExampleSections(griffe.Extension):
    """Rename the section where Griffe knows its plural only."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Correct the docstring of an object that has been loaded."""
        if obj.docstring:
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)
