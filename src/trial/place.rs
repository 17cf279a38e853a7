//! Where a trial takes place: a private PostgreSQL that is gone afterwards, a tenant with one organization, and the API in front of them.

use std::{fs::Permissions, os::unix::fs::PermissionsExt};

use poem::listener::{Acceptor, TcpAcceptor};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::TrialError;
use crate::{
    app::App,
    demo::{
        ApiClient, DemoError,
        content::{DemoOrganization, DemoTenant},
        issuer::DevIssuer,
        postgres::{Options, PrivatePostgres},
        setup::{OPERATORS, Settled, operator, settle},
    },
    foundation::{clock::Clock, config::Config},
    platform::db::{Connections, Owner},
};

const DATABASE: &str = "plumbline_try";
const LOGIN: &str = "plumbline_app";
const TENANT: &str = "trial";
/// The root organization has the tenant's own name.
const ORGANIZATION: &str = "calls";

/// A trial's own database. It is not kept: nothing of it outlives the command.
pub struct Place {
    directory: TempDir,
    postgres: PrivatePostgres,
    issuer: DevIssuer,
}

impl Place {
    /// Starts PostgreSQL in a new directory.
    pub async fn open() -> Result<Self, TrialError> {
        // PostgreSQL may run as another user, who has to get through to its own directory.
        let through = Permissions::from_mode(0o711);
        let directory = tempfile::Builder::new().prefix("plumbline-try-").permissions(through).tempdir()?;
        let options = Options { durable: false, ..Options::default() };
        let postgres =
            PrivatePostgres::start(&directory.path().join("postgres"), options).await.map_err(DemoError::from)?;
        Owner::connect(&postgres.owner_config("postgres")).await?.renew_database(DATABASE).await?;
        let issuer = DevIssuer::start(0, None, Clock::system()).await.map_err(DemoError::from)?;
        Ok(Self { directory, postgres, issuer })
    }

    /// Serves and works while `doing` runs, with a tenant whose organization is judged by `scorecard`.
    pub async fn during<T>(
        &self,
        mut config: Config,
        scorecard: Value,
        stop: &CancellationToken,
        doing: impl AsyncFnOnce(&ApiClient, &str) -> Result<T, TrialError>,
    ) -> Result<T, TrialError> {
        let acceptor = TcpAcceptor::from_tokio(TcpListener::bind("127.0.0.1:0").await?)?;
        let address = acceptor.local_addr().first().and_then(|address| address.0.as_socket_addr().copied());
        config.server.bind = address.ok_or(DemoError::Unexpected("address"))?;
        config.identity.trust_development_issuer = true;
        config.identity.operator_issuer = Some(self.issuer.open_realm(OPERATORS).map_err(DemoError::from)?);
        config.objects.bucket = None;
        config.objects.directory = self.directory.path().join("objects");
        let api: Url =
            format!("http://{}", config.server.bind).parse().map_err(|_| DemoError::Unexpected("address"))?;
        let owner = self.postgres.owner_config(DATABASE);
        let connections = Connections::to(self.postgres.login_config(LOGIN, DATABASE), config.database.lanes);
        Owner::connect(&owner).await?.migrate_platform(&connections.config).await?;
        let app = App::over(config, connections, Clock::system()).await?;
        let running = stop.child_token();
        let asking = async {
            let outcome = async {
                let settled = self.tenant(&api, scorecard).await?;
                let organization =
                    settled.organizations.get(ORGANIZATION).ok_or(DemoError::Unexpected("organization_id"))?;
                doing(&settled.admin, organization).await
            };
            let outcome = tokio::select! {
                outcome = outcome => outcome,
                () = stop.cancelled() => Err(TrialError::Stopped),
            };
            running.cancel();
            outcome
        };
        let (served, (), (), outcome) = tokio::join!(
            app.serve(acceptor, running.clone()),
            app.work(running.clone()),
            app.operate(&owner, running.clone()),
            asking
        );
        served?;
        outcome
    }

    /// Stops PostgreSQL and removes its directory.
    pub async fn close(self) -> Result<(), TrialError> {
        self.postgres.stop().await.map_err(DemoError::from)?;
        Ok(self.directory.close()?)
    }

    async fn tenant(&self, api: &Url, scorecard: Value) -> Result<Settled, TrialError> {
        let organization = DemoOrganization {
            slug: ORGANIZATION.to_owned(),
            name: "Calls".to_owned(),
            scorer: "builtin".to_owned(),
            agents: vec![],
            scorecard,
        };
        let tenant =
            DemoTenant { slug: TENANT.to_owned(), name: "Trial".to_owned(), organizations: vec![organization] };
        let operator = operator(&self.issuer, api)?;
        Ok(settle(&tenant, &operator, &self.issuer, api).await?)
    }
}
