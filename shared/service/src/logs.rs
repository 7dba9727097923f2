//! Logs: one JSON object a line, with the names that Cloud Logging knows.

use std::fmt;
use std::io::Write;
use std::sync::OnceLock;

use jiff::Timestamp;
use opentelemetry::trace::TraceContextExt;
use serde_json::{Map, Value};
use tracing::dispatcher::WeakDispatch;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// What spans can say about the lines below them: which run, and what it was at. All else of a span is for traces.
pub(crate) const SUBJECTS: [&str; 6] = ["run", "cycle", "attempt", "partition", "table", "layer"];

/// Writes events as lines. A line says in which trace it is, and what the spans around it are about.
pub(crate) struct Lines<W> {
    service: &'static str,
    /// Whose traces they are. Without it a trace is named by its id alone.
    project: Option<String>,
    /// By which the ids of a span are found.
    dispatch: OnceLock<WeakDispatch>,
    write: W,
}

/// Lines go to standard error.
pub(crate) fn to_stderr(line: &str) {
    // There is nobody who could be told that nobody can be told.
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}

impl<W: Fn(&str)> Lines<W> {
    pub(crate) fn new(service: &'static str, project: Option<String>, write: W) -> Self {
        Self { service, project, dispatch: OnceLock::new(), write }
    }

    /// The names by which Cloud Logging puts a line into its trace.
    fn trace(&self, span: &Id) -> Option<[(&'static str, Value); 3]> {
        let context = tracing_opentelemetry::get_otel_context(span, &self.dispatch.get()?.upgrade()?)?;
        let span = context.span();
        let found = Some(span.span_context()).filter(|found| found.is_valid())?;
        let trace = found.trace_id().to_string();
        let trace =
            self.project.as_ref().map_or_else(|| trace.clone(), |name| format!("projects/{name}/traces/{trace}"));
        Some([
            ("logging.googleapis.com/trace", trace.into()),
            ("logging.googleapis.com/spanId", found.span_id().to_string().into()),
            ("logging.googleapis.com/trace_sampled", found.is_sampled().into()),
        ])
    }
}

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Fn(&str) + 'static,
{
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        // There is one, for a layer is put into one subscriber.
        let _ = self.dispatch.set(dispatch.downgrade());
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields.subjects());
        }
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        record.record(&mut fields);
        if let Some(span) = context.span(id)
            && let Some(known) = span.extensions_mut().get_mut::<Subjects>()
        {
            known.0.extend(fields.subjects().0);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let severity = match *event.metadata().level() {
            Level::ERROR => "ERROR",
            Level::WARN => "WARNING",
            Level::INFO => "INFO",
            Level::DEBUG | Level::TRACE => "DEBUG",
        };
        let mut line = Map::new();
        line.insert("severity".to_owned(), severity.into());
        line.insert("time".to_owned(), Timestamp::now().to_string().into());
        line.insert("service".to_owned(), self.service.into());
        // Inner spans know better than outer ones, and the event knows best.
        for span in context.event_scope(event).into_iter().flat_map(tracing_subscriber::registry::Scope::from_root) {
            if let Some(subjects) = span.extensions().get::<Subjects>() {
                line.extend(subjects.0.clone());
            }
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        line.extend(fields.0);
        let trace = context.event_span(event).and_then(|span| self.trace(&span.id()));
        line.extend(trace.into_iter().flatten().map(|(name, value)| (name.to_owned(), value)));
        (self.write)(&format!("{}\n", Value::Object(line)));
    }
}

/// What a span says about the lines below it.
struct Subjects(Map<String, Value>);

#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn subjects(mut self) -> Subjects {
        self.0.retain(|name, _| SUBJECTS.contains(&name.as_str()));
        Subjects(self.0)
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}
