//! A definition as a file: JSON or YAML, in and out.

use poem::{FromRequest, IntoResponse, Request, RequestBody, Response, Result, http::header};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ApiResponse, Enum, ExtractParamOptions,
    error::{ContentTypeError, ParseRequestPayloadError},
    payload::{Json, ParsePayload},
    registry::{MetaMediaType, MetaRequest, MetaResponse, MetaResponses, Registry},
    types::Type,
};

use super::super::model::{Definition, ScorecardVersion, from_yaml, keys_are_unique, to_yaml};
use crate::platform::http::Refusal;

const JSON: &str = "application/json";
const YAML: &str = "application/yaml";
/// How YAML was called before it had a registered name.
const YAML_TOO: &[&str] = &[YAML, "application/x-yaml", "text/yaml", "text/x-yaml"];

fn media() -> Vec<MetaMediaType> {
    let media = |content_type| MetaMediaType { content_type, schema: Definition::schema_ref() };
    vec![media(JSON), media(YAML)]
}

/// A definition that was sent as JSON or YAML.
pub(super) struct SentDefinition(pub Definition);

impl<'a> ApiExtractor<'a> for SentDefinition {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        Definition::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        Some(MetaRequest { description: Some("The definition, as JSON or YAML."), required: true, content: media() })
    }

    async fn from_request(request: &'a Request, body: &mut RequestBody, _: ExtractParamOptions<()>) -> Result<Self> {
        let Some(content_type) = request.content_type() else {
            return Err(ContentTypeError::ExpectContentType.into());
        };
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            JSON => {
                let bytes = <Vec<u8> as FromRequest>::from_request(request, body).await?;
                // As YAML has it.
                keys_are_unique(&bytes).map_err(|error| ParseRequestPayloadError { reason: error.to_string() })?;
                let mut body = RequestBody::new(bytes.into());
                Ok(Self(<Json<Definition> as ParsePayload>::from_request(request, &mut body).await?.0))
            }
            yaml if YAML_TOO.contains(&yaml) => {
                let bytes = <Vec<u8> as FromRequest>::from_request(request, body).await?;
                let refused = |reason: String| ParseRequestPayloadError { reason };
                let text = String::from_utf8(bytes).map_err(|_| refused("the document is not UTF-8".to_owned()))?;
                Ok(Self(from_yaml(&text).map_err(|error| refused(error.to_string()))?))
            }
            _ => Err(ContentTypeError::NotSupported { content_type: content_type.to_owned() }.into()),
        }
    }
}

/// How a definition is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "DefinitionFormat", rename_all = "snake_case")]
pub(super) enum Format {
    /// For people.
    Yaml,
    /// For programs.
    Json,
}

/// A definition as a file.
pub(super) struct DefinitionFile {
    content_type: &'static str,
    name: String,
    text: String,
}

impl DefinitionFile {
    /// The definition of a version; `name` tells which in the file's name.
    ///
    /// # Errors
    /// `internal` when it cannot be written, which no definition causes.
    pub fn of(version: &ScorecardVersion, name: &str, format: Format) -> Result<Self, Refusal> {
        let definition = &version.definition;
        let (content_type, extension, text) = match format {
            Format::Yaml => (YAML, "yaml", to_yaml(definition).map_err(|error| Refusal::internal(&error))?),
            Format::Json => {
                let text = serde_json::to_string_pretty(definition).map_err(|error| Refusal::internal(&error))?;
                (JSON, "json", text)
            }
        };
        Ok(Self { content_type, name: format!("scorecard-{name}.{extension}"), text })
    }
}

impl IntoResponse for DefinitionFile {
    fn into_response(self) -> Response {
        Response::builder()
            .content_type(self.content_type)
            .header(header::CONTENT_DISPOSITION, format!("attachment; filename=\"{}\"", self.name))
            .body(self.text)
    }
}

impl ApiResponse for DefinitionFile {
    fn meta() -> MetaResponses {
        let response = MetaResponse {
            description: "The definition.",
            status: Some(200),
            status_range: None,
            content: media(),
            headers: vec![],
        };
        MetaResponses { responses: vec![response] }
    }

    fn register(registry: &mut Registry) {
        Definition::register(registry);
    }
}
