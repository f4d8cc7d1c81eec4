"""The keywords of JSON Schema, each with schemas that turn on it.

Named "keyword" or "keyword what"."""

AB = {"a": {"type": "integer", "maximum": 9, "minimum": 0}, "b": {"type": "boolean"}}
FORMATS = ["date-time", "date", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid",
           "uri"]


def closed(**more):
    return {"type": "object", "additionalProperties": False} | more


ENFORCED = {
    "type": [{"type": it} for it in ("null", "boolean", "integer", "number", "string")] +
            [{"type": ["integer", "null"]}, {"type": "array", "maxItems": 1},
             {"type": "object", "maxProperties": 1}],
    "enum": [{"enum": [1, "a", None, [1, {"b": 2}], {"c": [True]}]}, {"enum": ["ü\"\\\n"]}],
    "const": [{"const": it} for it in (0, -1.5, "x", None, [1, 2], {"a": "b"}, 9007199254740992)],
    "anyOf": [{"anyOf": [{"type": "integer", "minimum": 5}, {"const": "x"}]}],
    "oneOf": [{"oneOf": [{"type": "integer"}, {"type": "string", "maxLength": 3}]},
              {"oneOf": [closed(properties={"k": {"const": "x"}}, required=["k"]),
                         closed(properties={"k": {"const": "y"}, **AB}, required=["k"])]}],
    "allOf": [{"allOf": [{"type": "integer", "minimum": 3}, {"maximum": 8}]},
              closed() | {"properties": {**AB, "c": {}, "d": {}},
                          "allOf": [{"required": ["a"]}, {"properties": {"a": {"maximum": 3}}}]}],
    "$ref": [{"$ref": "#/$defs/x~1y", "$defs": {"x/y": {"const": 3}}},
             {"$defs": {"t": closed(properties={"n": {"$ref": "#/$defs/t"}})},
              "$ref": "#/$defs/t"},
             {"definitions": {"a": {"type": "boolean"}}, "type": "array", "maxItems": 2,
              "items": {"$ref": "#/definitions/a"}},
             closed(properties={"self": {"$ref": "#"}})],
    "items": [{"type": "array", "items": {"const": 1}, "maxItems": 4}],
    "prefixItems": [{"type": "array", "prefixItems": [{"const": 1}, {"type": "boolean"}],
                     "items": False},
                    {"type": "array", "prefixItems": [{"const": 1}], "items": {"const": 2},
                     "minItems": 2, "maxItems": 3}],
    "additionalItems": [{"$schema": "http://json-schema.org/draft-07/schema#", "type": "array",
                         "items": [{"const": 1}], "additionalItems": {"const": 2},
                         "maxItems": 3}],
    "minItems": [{"type": "array", "items": {"const": 0}, "minItems": 3, "maxItems": 5}],
    "maxItems": [{"type": "array", "items": {"const": 0}, "maxItems": 0}],
    "properties": [closed(properties=AB)],
    "required": [closed(properties=AB, required=["b"]),
                 {"type": "object", "required": ["z"], "additionalProperties": {"const": 1}}],
    "additionalProperties": [closed(properties=AB),
                             {"type": "object", "properties": AB,
                              "additionalProperties": {"const": "x"}}],
    "patternProperties": [closed(patternProperties={"^x_[0-9]$": {"const": 1}}),
                          closed(properties={"x_1": {"type": "integer"}}, required=["x_1"],
                                 patternProperties={"^x_[0-9]$": {"maximum": 5, "minimum": 0}})],
    "minProperties": [{"type": "object", "additionalProperties": {"const": 1},
                       "minProperties": 1},
                      closed(properties=AB, minProperties=1),
                      closed(properties=AB, required=["a", "b"], minProperties=2)],
    "maxProperties": [{"type": "object", "additionalProperties": {"const": 1},
                       "maxProperties": 2}, closed(properties=AB, maxProperties=1)],
    "minLength": [{"type": "string", "minLength": 2, "maxLength": 3}],
    "maxLength": [{"type": "string", "maxLength": 2}, {"type": "string", "maxLength": 0}],
    "pattern": [{"type": "string", "pattern": it}
                for it in ("^a+$", "[0-9]{3}", "^(x|yy)?$", r"^\d\s\w$", "^[^a]$")] +
               [{"type": "string", "pattern": "^[ab]+$", "minLength": 2, "maxLength": 4}],
    "format": [{"type": "string", "format": it} for it in FORMATS],
    "minimum": [{"type": "integer", "minimum": 995, "maximum": 1002},
                {"type": "number", "minimum": -0.75, "maximum": 0.5}],
    "maximum": [{"type": "integer", "minimum": -5, "maximum": -2}],
    "exclusiveMinimum": [{"type": "integer", "exclusiveMinimum": 3, "maximum": 5},
                         {"type": "number", "exclusiveMinimum": 0, "maximum": 0.001},
                         {"exclusiveMinimum": -3, "type": "number", "maximum": -2.5},
                         {"type": "number", "allOf": [{"exclusiveMinimum": 7}, {"maximum": 7.5}]}],
    "exclusiveMaximum": [{"type": "number", "minimum": 1, "exclusiveMaximum": 2},
                         {"type": "number", "minimum": -0.5, "exclusiveMaximum": 0},
                         {"type": "integer", "minimum": 1, "exclusiveMaximum": 2}],
    "multipleOf": [{"type": "integer", "multipleOf": 7, "minimum": -50, "maximum": 50},
                   {"type": "number", "multipleOf": 0.01, "minimum": 0, "maximum": 1}],
}

# "$ref" to elsewhere and others in parentheses name what of a keyword is refused.
REFUSED = {
    "not": {"not": {"type": "string"}},
    "if": {"if": {"type": "string"}, "then": {"minLength": 1}},
    "then": {"then": {}},
    "else": {"else": {}},
    "contains": {"type": "array", "contains": {"const": 1}},
    "minContains": {"type": "array", "minContains": 1},
    "maxContains": {"type": "array", "maxContains": 1},
    "uniqueItems": {"type": "array", "uniqueItems": True},
    "unevaluatedItems": {"type": "array", "unevaluatedItems": False},
    "unevaluatedProperties": {"type": "object", "unevaluatedProperties": False},
    "propertyNames": {"type": "object", "propertyNames": {"maxLength": 3}},
    "dependentRequired": {"type": "object", "dependentRequired": {"a": ["b"]}},
    "dependentSchemas": {"type": "object", "dependentSchemas": {"a": {}}},
    "dependencies": {"type": "object", "dependencies": {"a": ["b"]}},
    "contentSchema": {"type": "string", "contentSchema": {}},
    "$dynamicRef": {"$dynamicRef": "#x"},
    "$recursiveRef": {"$recursiveRef": "#"},
    "$dynamicAnchor": {"$dynamicAnchor": "x"},
    "$recursiveAnchor": {"$recursiveAnchor": True},
    "$vocabulary": {"$vocabulary": {}},
    "divisibleBy": {"divisibleBy": 2},
    "disallow": {"disallow": "string"},
    "extends": {"extends": {}},
}
