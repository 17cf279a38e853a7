//! A rule in requests and in the API's document. The derived form would take the first kind of rule that it finds in an object and drop what else is
//! said beside it; here that is a mistake.

use std::borrow::Cow;

use poem_openapi::{
    Union,
    registry::{MetaSchemaRef, Registry},
    types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type},
};
use serde_json::Value;

use super::rule::{MetricRule, PhraseRule, Rule, RuleGroup};

/// Something that holds of a conversation or does not, exactly.
#[derive(Union)]
#[oai(externally_tagged, rename = "Rule", rename_all = "snake_case")]
enum Shape {
    Phrase(PhraseRule),
    Metric(MetricRule),
    All(RuleGroup),
    Any(RuleGroup),
    None(RuleGroup),
}

impl Type for Rule {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        Shape::name()
    }

    fn schema_ref() -> MetaSchemaRef {
        Shape::schema_ref()
    }

    fn register(registry: &mut Registry) {
        Shape::register(registry);
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ParseFromJSON for Rule {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        let value = value.unwrap_or_default();
        if value.as_object().is_none_or(|object| object.len() != 1) {
            return Err(ParseError::custom("a rule is exactly one of `phrase`, `metric`, `all`, `any` and `none`"));
        }
        Ok(match Shape::parse_from_json(Some(value)).map_err(ParseError::propagate)? {
            Shape::Phrase(rule) => Self::Phrase(rule),
            Shape::Metric(rule) => Self::Metric(rule),
            Shape::All(group) => Self::All(group),
            Shape::Any(group) => Self::Any(group),
            Shape::None(group) => Self::None(group),
        })
    }
}

impl ToJSON for Rule {
    fn to_json(&self) -> Option<Value> {
        serde_json::to_value(self).ok()
    }
}
