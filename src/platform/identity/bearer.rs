//! The extractor: an operation that takes a [`Caller`] demands a bearer token, and documents that it does.

use std::sync::Arc;

use poem::{Request, RequestBody, Result, http::header::AUTHORIZATION};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaSecurityScheme, Registry},
};

use super::{AuthError, Authenticator};
use crate::{
    foundation::access::Caller,
    platform::{
        http::{Kind, Problem, Refusal, record_tenant},
        tenancy::Unserved,
    },
};

/// Seconds until a migration or an issuer's restart is likely to be over.
const RETRY_AFTER_S: u32 = 10;
const SCHEME: &str = "bearerJwt";

/// The server's [`Authenticator`] is found in the request's data, as `Arc<Authenticator>`.
impl<'a> ApiExtractor<'a> for Caller {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        let scheme = MetaSecurityScheme {
            ty: "http",
            description: Some(
                "An access token (JWT) of the tenant's OpenID Connect issuer, made for this API's audience.",
            ),
            name: None,
            key_in: None,
            scheme: Some("bearer"),
            bearer_format: Some("JWT"),
            flows: None,
            openid_connect_url: None,
        };
        registry.create_security_scheme(SCHEME, scheme);
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![SCHEME]
    }

    async fn from_request(request: &'a Request, _: &mut RequestBody, _: ExtractParamOptions<()>) -> Result<Self> {
        let caller = match request.data::<Arc<Authenticator>>() {
            Some(authenticator) => prove(authenticator, request).await,
            None => {
                tracing::error!("the server has no authenticator");
                return Err(poem::Error::from_response(Refusal::new(Kind::Internal, "the request failed").response()));
            }
        };
        let caller = caller.inspect(|caller| record_tenant(caller.identity().tenant));
        caller.map_err(|error| poem::Error::from_response(Refusal::from(error).response()))
    }
}

async fn prove(authenticator: &Authenticator, request: &Request) -> Result<Caller, AuthError> {
    let mut headers = request.headers().get_all(AUTHORIZATION).iter();
    let (Some(header), None) = (headers.next(), headers.next()) else {
        return Err(AuthError::Missing);
    };
    let header = header.to_str().map_err(|_| AuthError::Refused)?;
    match header.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("Bearer") => {
            authenticator.authenticate(token.trim()).await
        }
        _ => Err(AuthError::Refused),
    }
}

impl From<AuthError> for Refusal {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Missing | AuthError::Refused => {
                Refusal::new(Kind::Unauthorized, "send a valid access token as Authorization: Bearer <token>")
            }
            AuthError::Deactivated => Refusal::new(Kind::UserDeactivated, "the user is deactivated"),
            AuthError::AgentNotLinked => Refusal::new(Kind::AgentNotLinked, "no active agent is linked to the user"),
            AuthError::Unserved(Unserved::Suspended) => Refusal::new(Kind::TenantSuspended, "the tenant is suspended"),
            AuthError::Unserved(Unserved::NotReady) => later(Kind::TenantNotReady, "the tenant is being prepared"),
            AuthError::IssuerUnavailable => later(Kind::IssuerUnavailable, "the issuer cannot be reached"),
            AuthError::Db(error) => error.into(),
        }
    }
}

fn later(kind: Kind, detail: &str) -> Refusal {
    Problem::new(kind, detail).retry_after(RETRY_AFTER_S).into()
}
