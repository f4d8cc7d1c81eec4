//! JSON schemas before llguidance compiles them: what it would ignore, take too loosely or choke on
//! is refused here with the keyword and its place; what asks for nothing is left out.

use crate::{refuse, Outcome};
use serde_json::{json, Map, Value as Json};

/// Keywords of some draft that restrict values and that no grammar is made for.
const REFUSED: [&str; 23] = [
    "$dynamicRef",
    "$recursiveRef",
    "contains",
    "contentSchema",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "disallow",
    "divisibleBy",
    "else",
    "extends",
    "if",
    "maxContains",
    "minContains",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
    "$dynamicAnchor",
    "$recursiveAnchor",
    "$vocabulary",
];
/// Annotations that llguidance does not know, and its own options: a client must not switch the
/// checks off.
const DROPPED: [&str; 3] = ["deprecated", "x-guidance", "$comment"];

const MAPS: [&str; 4] = ["properties", "patternProperties", "$defs", "definitions"];
const LISTS: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
const SINGLES: [&str; 3] = ["items", "additionalItems", "additionalProperties"];

const COUNTS: [&str; 6] =
    ["minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"];

/// llguidance keeps numbers as doubles.
const EXACT_INTEGER: u64 = 1 << 53;
/// Pairs of patterns are compared with each other.
const PATTERNS: usize = 32;

pub struct SchemaLimits {
    pub depth: usize,
    pub count: u64, // of minItems, maxLength and the like
}

struct Walk<'a> {
    limits: &'a SchemaLimits,
    path: Vec<String>,
}

/// Refusals name the keyword first, then where it stands.
impl Walk<'_> {
    fn refuse<T>(&self, keyword: &str, why: &str) -> Outcome<T> {
        let place =
            if self.path.is_empty() { "".into() } else { format!("/{}", self.path.join("/")) };
        refuse(format!("'{keyword}' at '#{place}': {why}"))
    }

    fn inside(&mut self, step: &str, schema: &mut Json) -> Outcome<()> {
        if self.path.len() >= self.limits.depth {
            return self.refuse(step, "the schema is nested too deeply");
        }
        self.path.push(step.replace('~', "~0").replace('/', "~1"));
        self.schema(schema)?;
        self.path.pop();
        Ok(())
    }

    fn schema(&mut self, schema: &mut Json) -> Outcome<()> {
        let Json::Object(members) = schema else {
            return match schema {
                Json::Bool(_) => Ok(()),
                _ => self.refuse("schema", "a schema is an object or a boolean"),
            };
        };
        if members.get("uniqueItems") == Some(&Json::Bool(false)) {
            members.shift_remove("uniqueItems");
        }
        for name in DROPPED {
            members.shift_remove(name);
        }
        for name in REFUSED {
            if members.contains_key(name) {
                return self.refuse(name, "this keyword cannot be enforced");
            }
        }
        whole_counts(members);
        self.numbers(members)?;
        open_bounds(members);
        self.objects(members)?;
        self.children(members)
    }

    fn children(&mut self, members: &mut Map<String, Json>) -> Outcome<()> {
        for name in MAPS {
            let Some(Json::Object(map)) = members.get_mut(name) else {
                match members.get(name) {
                    None => continue,
                    Some(_) => return self.refuse(name, "its value must be an object"),
                }
            };
            for (key, each) in map.iter_mut() {
                self.path.push(name.into());
                self.inside(key, each)?;
                self.path.pop();
            }
        }
        for name in LISTS.iter().chain(&["items"]) {
            let Some(Json::Array(list)) = members.get_mut(*name) else { continue };
            for (index, each) in list.iter_mut().enumerate() {
                self.path.push((*name).into());
                self.inside(&index.to_string(), each)?;
                self.path.pop();
            }
        }
        for name in SINGLES {
            match members.get_mut(name) {
                None | Some(Json::Array(_)) => {}
                Some(each) => self.inside(name, each)?,
            }
        }
        Ok(())
    }

    /// Numbers that a double does not hold, and counts beyond what a grammar should unroll.
    fn numbers(&self, members: &Map<String, Json>) -> Outcome<()> {
        for (name, value) in members {
            match name.as_str() {
                "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf"
                | "const" | "enum" => {
                    if !exact(value) {
                        return self.refuse(name, "a number beyond 2^53 cannot be enforced");
                    }
                    if name == "multipleOf" && !value.as_f64().is_some_and(|it| it > 0.0) {
                        return self.refuse(name, "its value must be a number above 0");
                    }
                }
                name if COUNTS.contains(&name) => match count_of(value) {
                    None => return self.refuse(name, "its value must be an integer, 0 or more"),
                    Some(count) if count > self.limits.count => {
                        return self
                            .refuse(name, &format!("at most {} is supported", self.limits.count))
                    }
                    Some(_) => {}
                },
                _ => {}
            }
        }
        Ok(())
    }

    fn objects(&self, members: &Map<String, Json>) -> Outcome<()> {
        let patterns = members.get("patternProperties").and_then(Json::as_object);
        if patterns.is_some_and(|map| map.len() > PATTERNS) {
            return self.refuse("patternProperties", &format!("at most {PATTERNS} are supported"));
        }
        // A grammar does not remember names, so that a free name may come twice and count once.
        let least = members.get("minProperties").and_then(count_of).unwrap_or(0);
        let mut required: Vec<&str> = members
            .get("required")
            .and_then(Json::as_array)
            .map(|names| names.iter().filter_map(Json::as_str).collect())
            .unwrap_or_default();
        required.sort_unstable();
        required.dedup();
        let closed = members.get("additionalProperties") == Some(&Json::Bool(false));
        let free = !closed || patterns.is_some_and(|map| !map.is_empty());
        if free && least > required.len() as u64 + 1 {
            return self.refuse(
                "minProperties",
                "cannot be enforced where names are free, beyond the required ones and one more",
            );
        }
        Ok(())
    }
}

fn count_of(value: &Json) -> Option<u64> {
    let whole = |it: &f64| *it >= 0.0 && it.fract() == 0.0 && *it < EXACT_INTEGER as f64;
    value.as_u64().or_else(|| value.as_f64().filter(whole).map(|it| it as u64))
}

/// 10.0 is a count in JSON Schema and not in llguidance.
fn whole_counts(members: &mut Map<String, Json>) {
    for name in COUNTS {
        if let Some(value) = members.get_mut(name).filter(|it| it.is_f64()) {
            if let Some(count) = count_of(value) {
                *value = json!(count);
            }
        }
    }
}

/// Bounds that are not part of the range, as ones that are: llguidance lets 1 through for
/// {"exclusiveMinimum": 1, "maximum": 1.5}. What is lost lies nearer to the bound than a double can
/// tell, or than 1e-15. Draft 4's booleans become numbers by the way.
fn open_bounds(members: &mut Map<String, Json>) {
    for (name, open, sign) in
        [("minimum", "exclusiveMinimum", 1.0), ("maximum", "exclusiveMaximum", -1.0)]
    {
        let own = members.get(name).and_then(Json::as_f64);
        let bound = match members.get(open) {
            Some(Json::Bool(true)) => own,
            Some(value) => value.as_f64(),
            None => None,
        };
        if matches!(members.get(open), Some(Json::Bool(_))) {
            members.shift_remove(open);
        }
        let Some(bound) = bound.filter(|it| it.fract() == 0.0) else { continue };
        let step = (bound.abs() * f64::EPSILON).max(1e-15);
        let inside = bound + sign * step;
        let closed =
            own.map_or(inside, |it| if sign > 0.0 { it.max(inside) } else { it.min(inside) });
        members.shift_remove(open);
        members.insert(name.into(), json!(closed));
    }
}

fn exact(value: &Json) -> bool {
    match value {
        Json::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(it), _) => it <= EXACT_INTEGER,
            (_, Some(it)) => it.unsigned_abs() <= EXACT_INTEGER,
            _ => number.as_f64().is_some_and(|it| it.abs() <= EXACT_INTEGER as f64),
        },
        Json::Array(items) => items.iter().all(exact),
        Json::Object(members) => members.values().all(exact),
        _ => true,
    }
}

/// The schema that llguidance gets. `whitespace`: a pattern of the blanks between tokens of JSON;
/// empty for none.
pub fn prepare(source: &str, whitespace: &str, limits: &SchemaLimits) -> Outcome<Json> {
    let mut schema: Json = serde_json::from_str(source)?;
    let mut walk = Walk { limits, path: Vec::new() };
    walk.schema(&mut schema)?;
    if let Json::Bool(all) = schema {
        schema = if all { json!({}) } else { return walk.refuse("false", "nothing satisfies it") };
    }
    let mut options = json!({
        "whitespace_flexible": false,
        // Without \u each name has one spelling: a free name cannot be that of a property.
        "json_allowed_escapes": "nrbtf\\\"",
    });
    if !whitespace.is_empty() {
        options["whitespace_flexible"] = json!(true);
        options["whitespace_pattern"] = json!(whitespace);
    }
    schema["x-guidance"] = options;
    Ok(schema)
}
