"""Reads a LiteLLM proxy's ``config.yaml`` and gives our configuration that does the same.

What cannot be carried over is said with its line; nothing is dropped in silence, and no secret
is copied: a key that stands in the file becomes the name of a variable.
"""

from tollkeeper.config.litellm.reading import Imported as Imported
from tollkeeper.config.litellm.reading import Note as Note
from tollkeeper.config.litellm.reading import read as read
