"""Builders of JSON schemas, and what they find wrong in an answer."""

import jsonschema

TEXT = {"type": "string"}
NAME = {"type": "string", "minLength": 1}
NUMBER = {"type": "number"}
COUNT = {"type": "integer", "minimum": 0}
TRUTH = {"type": "boolean"}
OBJECT = {"type": "object"}
NULL = {"type": "null"}


def one_of(*values):
    return {"enum": list(values)}


def any_of(*shapes):
    return {"anyOf": list(shapes)}


def or_null(shape):
    return any_of(shape, NULL)


def list_of(shape, least=0):
    return {"type": "array", "items": shape, "minItems": least}


def shape(required, optional=None, ours=None):
    """An object of exactly these members; `ours` are those that nobody but this server has."""
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **(optional or {}), **(ours or {})},
        "additionalProperties": False,
    }


def check(value, wanted, what):
    faults = jsonschema.Draft202012Validator(wanted).iter_errors(value)
    fault = jsonschema.exceptions.best_match(faults)
    assert fault is None, f"{what}: {fault.json_path}: {fault.message}\n{value}"
