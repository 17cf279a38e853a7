//! The document of the API: what is served is what `plumbline openapi` prints and what the repository holds.

use plumbline::{app::App, foundation::config};

use crate::support::{TestApp, golden};

#[tokio::test]
async fn the_document_is_as_its_golden_file_and_as_it_is_served() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config::load(None).unwrap();
    config.objects.directory = directory.path().to_owned();
    let document = App::offline_document(config).unwrap();
    let app = TestApp::start().await;
    assert_eq!(app.anonymous().get("/openapi.json").await.expect(200), document);
    golden("openapi/server.json", &(serde_json::to_string_pretty(&document).unwrap() + "\n"));
    app.finish().await;
}
