//! An identity provider on loopback: it publishes keys, and signs what the test says.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
};
use aws_lc_rs::{digest, hmac};
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// A running provider; it ends when this is dropped.
pub(crate) struct FakeIdp {
    base: String,
    published: Arc<Published>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Published {
    keys: Mutex<Vec<Value>>,
    asked: AtomicUsize,
    is_down: AtomicBool,
}

/// A key of the provider.
pub(crate) enum SigningKey {
    Rsa(Box<RsaKeyPair>),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl FakeIdp {
    /// One that publishes nothing yet.
    pub(crate) async fn start() -> Self {
        let published: Arc<Published> = Arc::default();
        let router = axum::Router::new().route("/jwks", get(answer)).with_state(Arc::clone(&published));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { base, published, task }
    }

    /// Where its keys are.
    pub(crate) fn keys_url(&self) -> String {
        format!("{}/jwks", self.base)
    }

    /// Publishes a key under this id, beside the others.
    pub(crate) fn publish(&self, kid: &str, key: &SigningKey) {
        let mut jwk = key.public();
        jwk["kid"] = json!(kid);
        self.published.keys.lock().unwrap().push(jwk);
    }

    /// Answers nothing useful from now on, or answers again.
    pub(crate) fn set_down(&self, is_down: bool) {
        self.published.is_down.store(is_down, Ordering::SeqCst);
    }

    /// How often its keys were asked for.
    pub(crate) fn asked(&self) -> usize {
        self.published.asked.load(Ordering::SeqCst)
    }
}

impl Drop for FakeIdp {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(State(published): State<Arc<Published>>) -> Response {
    published.asked.fetch_add(1, Ordering::SeqCst);
    if published.is_down.load(Ordering::SeqCst) {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    axum::Json(json!({ "keys": *published.keys.lock().unwrap() })).into_response()
}

impl SigningKey {
    pub(crate) fn rsa() -> Self {
        Self::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()))
    }

    pub(crate) fn ecdsa() -> Self {
        Self::Ecdsa(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub(crate) fn ed25519() -> Self {
        Self::Ed25519(Ed25519KeyPair::generate().unwrap())
    }

    fn public(&self) -> Value {
        match self {
            Self::Rsa(key) => {
                let public = key.public_key();
                json!({
                    "kty": "RSA",
                    "use": "sig",
                    "n": BASE64.encode(public.modulus().big_endian_without_leading_zero()),
                    "e": BASE64.encode(public.exponent().big_endian_without_leading_zero()),
                })
            }
            Self::Ecdsa(key) => {
                let point = key.public_key().as_ref();
                json!({
                    "kty": "EC",
                    "crv": "P-256",
                    "x": BASE64.encode(&point[1..33]),
                    "y": BASE64.encode(&point[33..]),
                })
            }
            Self::Ed25519(key) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": BASE64.encode(key.public_key().as_ref())})
            }
        }
    }

    /// A token with these claims. `alg` must fit the key.
    pub(crate) fn token(&self, alg: &str, kid: &str, claims: &Value) -> String {
        let text = unsigned(&json!({"alg": alg, "kid": kid, "typ": "JWT"}), claims);
        let random = SystemRandom::new();
        let signature = match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                let padding: &'static dyn aws_lc_rs::signature::RsaEncoding =
                    if alg == "PS256" { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                key.sign(padding, &random, text.as_bytes(), &mut signature).unwrap();
                signature
            }
            Self::Ecdsa(key) => key.sign(&random, text.as_bytes()).unwrap().as_ref().to_vec(),
            Self::Ed25519(key) => key.sign(text.as_bytes()).as_ref().to_vec(),
        };
        format!("{text}.{}", BASE64.encode(signature))
    }

    /// A token that somebody made who only knows the public key: HMAC with it as the secret.
    pub(crate) fn confused(&self, kid: &str, claims: &Value) -> String {
        let text = unsigned(&json!({"alg": "HS256", "kid": kid}), claims);
        let secret = hmac::Key::new(hmac::HMAC_SHA256, self.public().to_string().as_bytes());
        format!("{text}.{}", BASE64.encode(hmac::sign(&secret, text.as_bytes()).as_ref()))
    }
}

/// Header and claims, without a signature.
pub(crate) fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()))
}

/// A signature's worth of bytes that are none.
pub(crate) fn no_signature() -> String {
    BASE64.encode(digest::digest(&digest::SHA256, b"no signature").as_ref())
}
