//! SHA-256 as lower-case hexadecimal, of bytes or of a JSON document in one canonical spelling.

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// SHA-256 of the bytes: 64 lower-case hexadecimal digits.
pub fn of_bytes(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// Two lower-case hexadecimal digits per byte: of a digest that was made piece by piece, or of a part of one.
pub fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write;

    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// SHA-256 of the canonical spelling: the same for equal documents, whatever the order of their keys.
///
/// # Panics
/// Never for types whose map keys are strings, which all of the product's are.
pub fn of_json(document: &impl Serialize) -> String {
    let value = serde_json::to_value(document).expect("maps of the product have string keys");
    of_bytes(canonical(&value).as_bytes())
}

/// The canonical spelling: keys sorted by their UTF-8 bytes, no white space, only the escapes that JSON demands, numbers as parsed.
pub fn canonical(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_unstable();
            out.push('{');
            for (n, key) in keys.into_iter().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                write(&Value::String(key.clone()), out);
                out.push(':');
                write(&map[key], out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (n, item) in items.iter().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_order_of_keys_does_not_matter_and_that_of_items_does() {
        assert_eq!(
            canonical(&json!({"b": [1, 2], "a": {"d": null, "c": "x\"\n"}})),
            r#"{"a":{"c":"x\"\n","d":null},"b":[1,2]}"#
        );
        assert_eq!(of_json(&json!({"a": 1, "b": 2})), of_json(&json!({"b": 2, "a": 1})));
        assert_ne!(of_json(&json!([1, 2])), of_json(&json!([2, 1])));
    }

    #[test]
    fn the_digest_is_sha_256() {
        assert_eq!(of_bytes(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(of_json(&json!({})), of_bytes(b"{}"));
    }
}
