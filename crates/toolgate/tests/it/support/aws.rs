//! A small AWS: servers behind a door that lets in only what is signed, and the Security Token Service. Signatures are
//! judged by AWS's own library (PyPI `botocore`).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::request::Parts;
use http::uri::{Scheme, Uri};
use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use url::form_urlencoded;

use super::peers::{installed, source};
use super::soon;

/// The access key that exists from the start.
pub(crate) const KEY_ID: &str = "AKIDEXAMPLE";

/// Its secret.
pub(crate) const KEY_SECRET: &str = "c4n4ry/wJalrXUtnFEMI+K7MDENG";

/// The role that may be assumed with it, and with [`WEB_IDENTITY`].
pub(crate) const ROLE: &str = "arn:aws:iam::123456789012:role/gate";

/// The token of a service account.
pub(crate) const WEB_IDENTITY: &str = "eyJ.of-a.service-account";

/// A running one.
pub(crate) struct Aws {
    address: SocketAddr,
    cloud: Arc<Cloud>,
    task: tokio::task::JoinHandle<()>,
}

struct Cloud {
    behind: String,
    service: &'static str,
    region: &'static str,
    client: Client<HttpConnector, Body>,
    judge: tokio::sync::Mutex<Judge>,
    state: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// By the access key's id.
    keys: BTreeMap<String, Value>,
    /// What came in through the door, and with whose key.
    let_in: Vec<(Method, String)>,
    turned_away: Vec<String>,
    /// What STS was asked.
    asked: Vec<BTreeMap<String, String>>,
}

/// The process that judges signatures.
struct Judge {
    _process: Child,
    input: ChildStdin,
    verdicts: Lines<BufReader<ChildStdout>>,
}

impl Aws {
    /// Before `behind`, which is an address with its port, as the service that toolgate signs for if it is not told another.
    pub(crate) async fn before(behind: &str) -> Self {
        Self::start(behind, "bedrock-agentcore", "us-east-1").await
    }

    pub(crate) async fn start(behind: &str, service: &'static str, region: &'static str) -> Self {
        let mut command = Command::new(installed("py-aws/bin/python"));
        command.arg(source("aws_signatures.py")).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().unwrap();
        let input = process.stdin.take().expect("stdin is a pipe");
        let verdicts = BufReader::new(process.stdout.take().expect("stdout is a pipe")).lines();
        let keys = BTreeMap::from([(KEY_ID.to_owned(), json!({ "secret": KEY_SECRET }))]);
        let cloud = Arc::new(Cloud {
            behind: behind.to_owned(),
            service,
            region,
            client: Client::builder(TokioExecutor::new()).build_http(),
            judge: tokio::sync::Mutex::new(Judge { _process: process, input, verdicts }),
            state: Mutex::new(Known { keys, ..Known::default() }),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let sts = axum::routing::post(security_token_service);
        let app = axum::Router::new().route("/sts", sts).fallback(pass).with_state(Arc::clone(&cloud));
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, cloud, task }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Method and access key of each request that was let in.
    pub(crate) fn let_in(&self) -> Vec<(Method, String)> {
        self.cloud.state.lock().unwrap().let_in.clone()
    }

    /// Why requests were not.
    pub(crate) fn turned_away(&self) -> Vec<String> {
        self.cloud.state.lock().unwrap().turned_away.clone()
    }

    /// What STS was asked.
    pub(crate) fn asked(&self) -> Vec<BTreeMap<String, String>> {
        self.cloud.state.lock().unwrap().asked.clone()
    }

    /// One more access key.
    pub(crate) fn add_key(&self, id: &str, secret: &str, token: Option<&str>) {
        let key = json!({ "secret": secret, "token": token });
        self.cloud.state.lock().unwrap().keys.insert(id.to_owned(), key);
    }

    /// Ends an access key before its time.
    pub(crate) fn end_key(&self, id: &str) {
        self.cloud.state.lock().unwrap().keys.get_mut(id).unwrap()["ended"] = true.into();
    }
}

impl Drop for Aws {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Cloud {
    /// Whose the request is, or AWS's name for what is wrong with its signature.
    async fn judged(&self, head: &Parts, body: &[u8], service: &str) -> Result<String, String> {
        let header = |name: &str| head.headers.get(name).map_or("", |value| value.to_str().unwrap());
        let headers: Vec<_> = head
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes())))
            .collect();
        let keys = self.state.lock().unwrap().keys.clone();
        let request = json!({
            "method": head.method.as_str(), "url": format!("http://{}{}", header("host"), head.uri), "headers": headers,
            "body": STANDARD.encode(body), "keys": keys, "service": service, "region": self.region,
        });
        let mut judge = self.judge.lock().await;
        judge.input.write_all(format!("{request}\n").as_bytes()).await.unwrap();
        let line = soon("a verdict on a signature", judge.verdicts.next_line()).await.unwrap();
        let verdict: Value = serde_json::from_str(&line.expect("the judge is there")).unwrap();
        match verdict["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(verdict["key"].as_str().unwrap().to_owned()),
        }
    }

    /// Keys that last for an hour.
    fn grant(&self) -> String {
        let mut state = self.state.lock().unwrap();
        let number = state.keys.len();
        let (id, secret, token) =
            (format!("ASIAROLE{number}"), format!("c4n4ry-{number}"), format!("c4n4ry/token={number}"));
        state.keys.insert(id.clone(), json!({ "secret": secret, "token": token }));
        let ends = (chrono::Utc::now() + chrono::TimeDelta::hours(1)).format("%Y-%m-%dT%H:%M:%SZ");
        format!(
            "<R xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Credentials><AccessKeyId>{id}</AccessKeyId>\
             <SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{token}</SessionToken>\
             <Expiration>{ends}</Expiration></Credentials></R>"
        )
    }
}

async fn pass(State(cloud): State<Arc<Cloud>>, request: Request) -> Response {
    let (mut head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    match cloud.judged(&head, &body, cloud.service).await {
        Ok(key) => cloud.state.lock().unwrap().let_in.push((head.method.clone(), key)),
        Err(error) => {
            cloud.state.lock().unwrap().turned_away.push(error.clone());
            let code = [("x-amzn-errortype", error)];
            // As AWS does, it repeats what it was sent.
            let told = json!({ "message": format!("The canonical string should have been: {:?}", head.headers) });
            return (StatusCode::FORBIDDEN, code, told.to_string()).into_response();
        }
    }
    let mut uri = head.uri.into_parts();
    uri.scheme = Some(Scheme::HTTP);
    uri.authority = Some(cloud.behind.parse().unwrap());
    head.uri = Uri::from_parts(uri).unwrap();
    match cloud.client.request(Request::from_parts(head, Body::from(body))).await {
        Ok(response) => response.map(Body::new).into_response(),
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

async fn security_token_service(State(cloud): State<Arc<Cloud>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body: Bytes = body.collect().await.unwrap().to_bytes();
    let form: BTreeMap<String, String> = form_urlencoded::parse(&body).into_owned().collect();
    let outcome = match form["Action"].as_str() {
        "AssumeRole" => cloud.judged(&head, &body, "sts").await.map(drop),
        "AssumeRoleWithWebIdentity" if form["WebIdentityToken"] == WEB_IDENTITY => Ok(()),
        _ => Err("InvalidIdentityToken".to_owned()),
    };
    let is_known = form["RoleArn"] == ROLE;
    cloud.state.lock().unwrap().asked.push(form);
    let error = match outcome {
        Ok(()) if is_known => return cloud.grant().into_response(),
        Ok(()) => "AccessDenied".to_owned(),
        // It has other names for the same than services have.
        Err(error) if error == "InvalidSignatureException" => "SignatureDoesNotMatch".to_owned(),
        Err(error) if error == "UnrecognizedClientException" => "InvalidClientTokenId".to_owned(),
        Err(error) => error,
    };
    let told = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{error}</Code><Message>no &amp; never: {:?}</Message></Error>\
         </ErrorResponse>",
        head.headers.get("x-amz-security-token")
    );
    (StatusCode::FORBIDDEN, told).into_response()
}
