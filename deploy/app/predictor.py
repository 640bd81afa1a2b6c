"""Stands for your own: docs/file.md says what else may stand beside it."""


class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload):
        return {"hello": payload}
