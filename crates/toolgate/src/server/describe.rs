//! What a handler's types say of its route: body, query, answer, errors.
//!
//! The functions here stand where axum's of the same names would in the table of routes. They keep the handler for the
//! router, and beside it a function that reads the description off the handler's arguments and result. So the document
//! (`server::openapi`) says what the code parses; a handler whose arguments say nothing of themselves does not compile.

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::handler::Handler;
use axum::response::{Redirect, Response};
use axum::routing::{self, MethodRouter};
use http::{HeaderMap, Request, StatusCode, Uri};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::admin::body::{JsonBody, QueryOf, takes_named_fields};
use crate::admin::{AdminError, Allowed};
use crate::faces::admission::Admitted;
use crate::gateway::Gateway;
use crate::mcp::scope::PathNames;
use crate::rest::health::MetricsReader;
use crate::server::openapi::texts;

/// A handler, and what it says of itself.
pub struct Endpoint {
    /// For the router.
    pub router: MethodRouter<Gateway>,
    tells: Vec<fn(&mut Sketch<'_>)>,
}

impl Endpoint {
    fn new<H: Tells<A>, A>(router: MethodRouter<Gateway>) -> Self {
        Self { router, tells: vec![H::tell] }
    }

    /// Says what a handler that reads its body by itself reads it as.
    #[must_use]
    pub fn reads_body<T: JsonSchema>(mut self) -> Self {
        self.tells.push(|sketch| {
            let schema = sketch.schemas.subschema_for::<T>();
            sketch.body = Some(BodyOf { schema, is_optional: false });
        });
        self
    }

    /// Says what a handler that reads its query by itself reads it as.
    #[must_use]
    pub fn reads_query<T: JsonSchema>(mut self) -> Self {
        self.tells.push(|sketch| sketch.query_of::<T>());
        self
    }

    /// Writes into `sketch` what there is to tell.
    pub fn tell(&self, sketch: &mut Sketch<'_>) {
        for tell in &self.tells {
            tell(sketch);
        }
    }
}

macro_rules! methods {
    ($($(#[$meta:meta])* $name:ident),*) => {$(
        $(#[$meta])*
        pub fn $name<H, T, A>(handler: H) -> Endpoint
        where
            H: Handler<T, Gateway> + Tells<A>,
            T: 'static,
        {
            Endpoint::new::<H, A>(routing::$name(handler))
        }
    )*};
}

methods! {
    /// `DELETE`
    delete,
    /// `GET`
    get,
    /// `PATCH`
    patch,
    /// `POST`
    post,
    /// `PUT`
    put
}

/// A description in the making.
pub struct Sketch<'g> {
    /// Where schemas with a name are kept.
    pub schemas: &'g mut SchemaGenerator,
    /// Parameters of the query, as OpenAPI has them.
    pub query: Vec<Value>,
    /// The body.
    pub body: Option<BodyOf>,
    /// The answer's body, where the handler's type says it.
    pub answer: Option<Schema>,
    /// Errors are those of the management API.
    pub is_management: bool,
}

/// A body.
pub struct BodyOf {
    /// Its schema.
    pub schema: Schema,
    /// Whether there need be none.
    pub is_optional: bool,
}

impl<'g> Sketch<'g> {
    /// An empty one.
    pub fn new(schemas: &'g mut SchemaGenerator) -> Self {
        Self { schemas, query: Vec::new(), body: None, answer: None, is_management: false }
    }

    fn query_of<T: JsonSchema>(&mut self) {
        let mut schema = T::json_schema(self.schemas).to_value();
        let required = schema["required"].take();
        let is_required = |name: &str| required.as_array().is_some_and(|names| names.iter().any(|it| it == name));
        let Value::Object(properties) = schema["properties"].take() else { return };
        for (name, mut schema) in properties {
            let mut parameter = json!({ "name": name, "in": "query", "required": is_required(&name) });
            let own = schema.as_object_mut().and_then(|schema| schema.remove("description"));
            if let Some(text) = own.or_else(|| texts::field(&name).map(Value::from)) {
                parameter["description"] = text;
            }
            parameter["schema"] = without_null(schema);
            self.query.push(parameter);
        }
    }

    fn body_of<T: JsonSchema + DeserializeOwned>(&mut self) {
        let schema = self.schemas.subschema_for::<T>();
        let name = T::schema_name();
        let mut is_optional = true;
        if let Some(named) = self.schemas.definitions_mut().get_mut(name.as_ref()) {
            // The extractor refuses other fields, whatever the type itself does.
            if takes_named_fields::<T>() {
                named["additionalProperties"] = false.into();
            }
            is_optional = named.get("required").is_none();
        }
        self.body = Some(BodyOf { schema, is_optional });
    }
}

/// What a parameter of a query is: there is no `null` in one, only absence.
fn without_null(mut schema: Value) -> Value {
    let Some(fields) = schema.as_object_mut() else { return schema };
    if let Some(Value::Array(types)) = fields.get_mut("type") {
        types.retain(|it| it != "null");
        if let [one] = &mut types[..] {
            let one = one.take();
            fields.insert("type".to_owned(), one);
        }
    }
    fields.retain(|name, value| !(name == "default" && value.is_null()));
    schema
}

/// A handler that says something of itself. `A` are its arguments.
pub trait Tells<A> {
    /// Writes it down.
    fn tell(sketch: &mut Sketch<'_>);
}

macro_rules! handlers {
    ($(($($argument:ident),*)),*) => {$(
        impl<F, Fut, $($argument),*> Tells<($($argument,)*)> for F
        where
            F: FnOnce($($argument),*) -> Fut,
            Fut: Future<Output: Answers>,
            $($argument: Takes),*
        {
            fn tell(sketch: &mut Sketch<'_>) {
                $($argument::tell(sketch);)*
                <Fut::Output as Answers>::tell(sketch);
            }
        }
    )*};
}

handlers! { (), (T1), (T1, T2), (T1, T2, T3), (T1, T2, T3, T4) }

/// An argument of a handler.
pub trait Takes {
    /// Says what is taken, if it is anything that a client sends beside what the table of routes says.
    fn tell(_: &mut Sketch<'_>) {}
}

impl Takes for Allowed {
    fn tell(sketch: &mut Sketch<'_>) {
        sketch.is_management = true;
    }
}

impl<T: JsonSchema + DeserializeOwned> Takes for JsonBody<T> {
    fn tell(sketch: &mut Sketch<'_>) {
        sketch.body_of::<T>();
    }
}

impl<T: JsonSchema> Takes for QueryOf<T> {
    fn tell(sketch: &mut Sketch<'_>) {
        sketch.query_of::<T>();
    }
}

impl<T: JsonSchema> Takes for Result<Query<T>, QueryRejection> {
    fn tell(sketch: &mut Sketch<'_>) {
        sketch.query_of::<T>();
    }
}

// What varies in a path stands in the table; headers, and what is read by hand, is told by texts there.
impl Takes for Path<String> {}
impl Takes for Result<Path<String>, PathRejection> {}
impl Takes for PathNames {}
impl Takes for Admitted {}
impl Takes for MetricsReader {}
impl Takes for State<Gateway> {}
impl Takes for HeaderMap {}
impl Takes for Uri {}
impl Takes for Request<Body> {}

/// What a handler answers.
pub trait Answers {
    /// Says it, where the type does.
    fn tell(_: &mut Sketch<'_>) {}
}

impl Answers for Response {}
impl Answers for Redirect {}
impl Answers for StatusCode {}

impl<T: JsonSchema> Answers for Json<T> {
    fn tell(sketch: &mut Sketch<'_>) {
        sketch.answer = Some(sketch.schemas.subschema_for::<T>());
    }
}

impl<T: Answers> Answers for (StatusCode, T) {
    fn tell(sketch: &mut Sketch<'_>) {
        T::tell(sketch);
    }
}

impl<T: Answers> Answers for Result<T, AdminError> {
    fn tell(sketch: &mut Sketch<'_>) {
        T::tell(sketch);
        sketch.is_management = true;
    }
}
