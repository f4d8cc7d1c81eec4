"""Random JSON schemas of the keywords that constrained output enforces: schemas(seed, count)."""

import random

NAMES = ["id", "name", "a b", "größe", "x-y", "kind", "tags", "list", "größer", "q\"uote", "0", "π"]
PATTERNS = [r"^[a-z]{1,8}$", r"^\d{2,4}$", r"[A-F]+[0-9]", r"^(yes|no)$", r"^[^,]{0,5},\d+$",
            r"^\w+@\w+\.com$", r"x", r"^.{3}$", r"^$"]
FORMATS = ["date-time", "date", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid",
           "uri"]
VALUES = [None, True, False, 0, -1, 17, 3.5, -0.25, "", "on", "off", "ü\n\"\\", [1, "a"], [],
          {"k": 1}, {}, 1e10]


class Generator:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.definitions = {}

    def chance(self, part):
        return self.random.random() < part

    def string(self):
        schema = {"type": "string"}
        which = self.random.randrange(6)
        if which == 0:
            schema["pattern"] = self.random.choice(PATTERNS)
        elif which == 1:
            schema["format"] = self.random.choice(FORMATS)
        elif which == 2:
            low = self.random.randrange(4)
            schema |= {"minLength": low, "maxLength": low + self.random.randrange(9)}
        elif which == 3:
            schema["enum"] = self.random.sample(["red", "grün", "b\\lue", "a\"b", "x y"],
                                                self.random.randint(1, 4))
        elif which == 4:
            schema["maxLength"] = self.random.randrange(12)
        return schema

    def number(self):
        schema = {"type": self.random.choice(["number", "integer"])}
        low = self.random.choice([-1000, -3, 0, 1, 0.5, 100, -0.125])
        if schema["type"] == "integer":
            low = int(low)
        span = self.random.choice([0, 1, 2, 10, 999, 123456])
        if self.chance(0.5):
            schema["minimum"] = low
        elif self.chance(0.5):
            schema["exclusiveMinimum"] = low
        if self.chance(0.5):
            schema["maximum"] = low + span
        elif self.chance(0.5):
            schema["exclusiveMaximum"] = low + span + 1
        if self.chance(0.2):
            # Half a step at most from any bound: something is always in between.
            schema["multipleOf"] = self.random.choice([1, 1] if span < 2 else [1, 0.5, 0.25])
        return schema

    def array(self, depth):
        schema = {"type": "array"}
        if self.chance(0.3):
            count = self.random.randint(1, 3)
            schema["prefixItems"] = [self.schema(depth - 1) for _ in range(count)]
            schema["minItems"] = self.random.randint(0, count)
            if self.chance(0.5):
                schema["items"] = False
                return schema
        schema["items"] = self.schema(depth - 1)
        schema["maxItems"] = schema.get("minItems", 0) + self.random.randrange(5)
        return schema

    def object(self, depth):
        names = self.random.sample(NAMES, self.random.randint(0, 5))
        schema = {"type": "object", "properties": {it: self.schema(depth - 1) for it in names}}
        schema["required"] = [it for it in names if self.chance(0.6)]
        which = self.random.randrange(5)
        if which == 0:
            schema["additionalProperties"] = self.schema(0)
        elif which == 1:
            schema["patternProperties"] = {"^n_[a-z]{1,4}$": self.schema(0)}
            schema["additionalProperties"] = False
        elif which == 2 and not names:
            schema |= {"additionalProperties": self.string(), "minProperties": 1,
                       "maxProperties": self.random.randint(1, 3)}
        else:
            schema["additionalProperties"] = False
        return schema

    def combined(self, depth):
        which = self.random.randrange(5)
        if which == 0:
            return {"anyOf": [self.schema(depth - 1) for _ in range(self.random.randint(1, 3))]}
        if which == 1:
            return {"oneOf": [self.object_of("a", depth), self.object_of("b", depth)]}
        if which == 2:
            return {"allOf": [{"type": "object", "properties": {"p": self.schema(depth - 1)},
                               "required": ["p"]},
                              {"properties": {"q": self.schema(depth - 1)}, "required": ["q"]}]}
        if which == 3:
            name = f"d{len(self.definitions)}"
            self.definitions[name] = True  # taken
            self.definitions[name] = self.schema(depth - 1)
            return {"$ref": f"#/$defs/{name}"}
        return {"type": ["null", "integer", "string"], "description": "one of three"}

    def object_of(self, kind, depth):
        return {"type": "object", "properties": {"kind": {"const": kind},
                                                 "value": self.schema(depth - 1)},
                "required": ["kind", "value"], "additionalProperties": False}

    def schema(self, depth):
        which = self.random.randrange(10)
        if depth > 0 and which < 3:
            return self.object(depth)
        if depth > 0 and which < 5:
            return self.array(depth)
        if depth > 0 and which < 7:
            return self.combined(depth)
        return [self.string, self.number, lambda: {"type": "boolean"}, lambda: {"type": "null"},
                lambda: {"enum": self.random.sample(VALUES, 3)},
                lambda: {"const": self.random.choice(VALUES)},
                self.string, self.number][self.random.randrange(8)]()

    def document(self):
        self.definitions = {}
        schema = self.object(3) if self.chance(0.7) else self.schema(3)
        if self.chance(0.15):  # a tree
            self.definitions["tree"] = {
                "type": "object", "properties": {"v": {"type": "integer", "maximum": 9},
                                                 "l": {"$ref": "#/$defs/tree"}},
                "required": ["v"], "additionalProperties": False}
            schema = {"type": "array", "items": {"$ref": "#/$defs/tree"}, "maxItems": 3,
                      "$defs": {}}
        if self.definitions:
            schema["$defs"] = self.definitions
        return schema


def schemas(seed, count):
    made = Generator(seed)
    return [made.document() for _ in range(count)]
