"""The paper's protocols as a user would live them: no truth but in the clicks and the score."""
