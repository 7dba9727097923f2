//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use wap::{Identifier, PartitionKey};

/// Write-audit-publish with blue/green deployment for BigQuery, on this machine.
#[derive(Debug, Parser)]
#[command(name = "bgp", version, propagate_version = true, max_term_width = 100)]
pub(crate) struct Arguments {
    /// The pipeline file [environment: BGP_CONFIG; default: pipeline.yaml]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The folder for bucket, warehouse and source [environment: BGP_HOME; default: .bgp]
    #[arg(long, value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// The back ends [environment: BGP_TARGET; default: duckdb]
    #[arg(long, value_enum)]
    pub target: Option<Target>,
    #[command(subcommand)]
    pub command: Command,
}

/// The back ends.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Target {
    /// A folder and an embedded warehouse
    Duckdb,
    /// The clients of the cloud, and emulators of its services on this machine
    Emulators,
    /// Google Cloud
    Bigquery,
}

impl From<Target> for service::Target {
    fn from(target: Target) -> Self {
        match target {
            Target::Duckdb => Self::Duckdb,
            Target::Emulators => Self::Emulators,
            Target::Bigquery => Self::Bigquery,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Ten days of a board-game retailer through ten cycles
    Demo(DemoOptions),
    /// Run a workflow
    Run(RunOptions),
    /// Run a range of partitions, in order; what is published already is left alone
    Backfill(BackfillOptions),
    /// Where everything stands: what is live, who is at work, every partition
    Status(JsonOption),
    /// Everything that the pipeline keeps or checks, and what is made from what
    Assets(AssetsOptions),
    /// Propose a first version of what you write yourself
    Init(InitOptions),
    /// Publish a cycle that was audited and waits
    Publish(PublishOptions),
    /// Go back to the slot that was live before, and keep out what that takes from readers
    Rollback(RollbackOptions),
    /// Give up a published view: the next cycle may lack it
    Retire(RetireOptions),
    /// Go on without a partition: later cycles keep what they had of it
    Hold(HoldOptions),
    /// Take up again a held partition, or all that a rollback keeps out
    Release(ReleaseOptions),
    /// Drop what nothing names any more: old slots, documents, objects of the lake
    Cleanup(CleanupOptions),
    /// How the live tables differ from those of an attempt, or of the cycle before
    Diff(DiffOptions),
    /// Compare record, views, attempts, ledger, lake and slots with each other
    Doctor(DoctorOptions),
    /// Copy a published table as it was at some time, where the warehouse remembers
    Restore(RestoreOptions),
    /// What was published in a cycle, from what, and on what evidence
    Receipt(ReceiptOptions),
    /// What a month costs, as shares of Google's free tier
    Cost(CostOptions),
    /// The digest of every live table: equal digests, equal rows
    Digest(JsonOption),
    /// Query what readers see
    Sql(SqlOptions),
    /// Serve every function on one port, and the workflows for gcloud
    Up(UpOptions),
    /// Look at workflow files
    Workflows(WorkflowsOptions),
    /// Measure, as ratios to a reference in the same run
    Bench(BenchOptions),
}

#[derive(Debug, Args)]
pub(crate) struct CostOptions {
    /// How often a month the images are built
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(0..=1000))]
    pub builds: u16,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct JsonOption {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DemoOptions {
    /// How many days
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=366))]
    pub days: u16,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RunOptions {
    /// The workflow
    #[arg(value_enum)]
    pub workflow: WorkflowName,
    /// The partition, such as 2025-08-01 [default: the newest that is over]
    #[arg(long, value_name = "PARTITION")]
    pub partition: Option<PartitionKey>,
    /// The last step to do
    #[arg(long, value_enum, value_name = "STEP")]
    pub until: Option<Until>,
    /// Extract and load only these tables
    #[arg(long, value_name = "TABLE,...", value_delimiter = ',')]
    pub tables: Vec<String>,
    /// The workflow's argument as JSON, as gcloud passes it; the other options are written into it
    #[arg(long, value_name = "JSON")]
    pub data: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum WorkflowName {
    /// One partition: generate, extract, load, transform, audit, publish
    Daily,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Until {
    Generate,
    Extract,
    Load,
    Prepare,
    Transform,
    Audit,
    Publish,
}

#[derive(Debug, Args)]
pub(crate) struct BackfillOptions {
    /// The first partition
    #[arg(long, value_name = "PARTITION")]
    pub from: PartitionKey,
    /// The last partition
    #[arg(long, value_name = "PARTITION")]
    pub to: PartitionKey,
    /// Publish after every partition, or once for all
    #[arg(long, value_enum, default_value_t = CyclePer::Partition)]
    pub cycle_per: CyclePer,
    /// Only partitions that readers do not see yet, or see in an older content
    #[arg(long)]
    pub gaps: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CyclePer {
    Partition,
    All,
}

#[derive(Debug, Args)]
pub(crate) struct AssetsOptions {
    /// Only assets of this key, or of this name, or with this in their key; of a single one everything is shown
    pub name: Option<String>,
    /// Only this group, such as finance, mart or raw
    #[arg(long)]
    pub group: Option<String>,
    /// Only this kind, such as model, view or test
    #[arg(long)]
    pub kind: Option<lineage::AssetKind>,
    /// Print the graph of what is made from what; without checks unless they are asked for
    #[arg(long, value_enum, value_name = "FORMAT", conflicts_with = "json")]
    pub graph: Option<GraphFormat>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum GraphFormat {
    Svg,
    Mermaid,
    Json,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub(crate) struct InitOptions {
    #[command(subcommand)]
    pub what: Option<InitWhat>,
    /// Write a pipeline file for the dbt project in this folder, which stays as it is; --config says where to [default: pipeline.yaml]
    #[arg(long, value_name = "DIR")]
    pub dbt: Option<PathBuf>,
    /// The DuckDB file with the tables of the project's sources
    #[arg(long, value_name = "FILE", requires = "dbt")]
    pub source: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum InitWhat {
    /// The entry of a source's table in the pipeline file; what the source does not say is guessed, and marked as a guess
    Table(InitTableOptions),
}

#[derive(Debug, Args)]
pub(crate) struct InitTableOptions {
    /// What the table is to be called
    pub name: Identifier,
    /// The source of the pipeline file that has it [default: the only one]
    #[arg(long)]
    pub source: Option<String>,
    /// What it is called there, such as sales.orders [default: the same]
    #[arg(long)]
    pub relation: Option<pipeline::RelationName>,
    /// Put the entry into the pipeline file, behind its last table
    #[arg(long)]
    pub write: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PublishOptions {
    /// The cycle, as `bgp status` shows it
    pub cycle: u64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RollbackOptions {
    /// Why, for whoever reads it later
    #[arg(long)]
    pub reason: Option<String>,
    /// Only if this cycle is live [default: the one that is live now]
    #[arg(long, value_name = "CYCLE")]
    pub cycle: Option<u64>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RetireOptions {
    /// The view, as `bgp digest` lists it
    pub view: Identifier,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct HoldOptions {
    pub partition: PartitionKey,
    /// Why, for whoever reads it later
    #[arg(long)]
    pub reason: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ReleaseOptions {
    #[arg(required_unless_present = "cycle", conflicts_with = "cycle")]
    pub partition: Option<PartitionKey>,
    /// All that is kept out because this cycle was rolled back
    #[arg(long, value_name = "CYCLE")]
    pub cycle: Option<u64>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CleanupOptions {
    /// Only say what would be dropped
    #[arg(long)]
    pub dry_run: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DiffOptions {
    /// Only these views
    #[arg(value_name = "VIEW")]
    pub views: Vec<wap::Identifier>,
    /// `kept`, an attempt or a cycle [default: the attempt that waits to be published, else the kept slot]
    #[arg(long, value_parser = against)]
    pub against: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `kept`, a cycle or an attempt: letters and digits, whichever it is.
fn against(text: &str) -> Result<String, String> {
    let is_word = (1..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_word {
        Ok(text.to_owned())
    } else {
        Err("expected kept, a cycle such as 7, or the id of an attempt".to_owned())
    }
}

#[derive(Debug, Args)]
pub(crate) struct DoctorOptions {
    /// Repair what can be repaired without guessing
    #[arg(long)]
    pub mend: bool,
    /// Read every object of the lake, not only some
    #[arg(long)]
    pub deep: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreOptions {
    /// The published view
    pub view: wap::Identifier,
    /// When readers saw it so, such as 2025-08-01T12:00:00Z
    #[arg(long, value_name = "TIMESTAMP")]
    pub at: jiff::Timestamp,
    /// The dataset for the copy, one of your own
    #[arg(long, value_name = "DATASET")]
    pub into: wap::Identifier,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ReceiptOptions {
    /// The cycle [default: the one that is live]
    pub cycle: Option<u64>,
    /// Print what the cycle read, made and checked as run events of `OpenLineage`, a list in JSON
    #[arg(long, conflicts_with = "json")]
    pub openlineage: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SqlOptions {
    /// One query; published views are in schema `live`
    pub query: String,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// Print JSON, as `--format json`
    #[arg(long)]
    pub json: bool,
    /// Print at most this many rows
    #[arg(long, default_value_t = 10_000)]
    pub limit: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Table,
    Json,
    Csv,
}

#[derive(Debug, Args)]
pub(crate) struct UpOptions {
    /// The port [environment: PORT; default: 8080]
    #[arg(long)]
    pub port: Option<u16>,
    /// Run workflows at the times that the pipeline file says
    #[arg(long)]
    pub schedule: bool,
}

#[derive(Debug, Args)]
pub(crate) struct WorkflowsOptions {
    #[command(subcommand)]
    pub command: WorkflowsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum WorkflowsCommand {
    /// List what would be refused when the files are deployed to Google Workflows
    Check(CheckOptions),
}

#[derive(Debug, Args)]
pub(crate) struct CheckOptions {
    /// Workflow files
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct BenchOptions {
    /// Rows of the table that is extracted
    #[arg(long, default_value_t = 2_000_000)]
    pub rows: u64,
    /// Days of history of the benchmark `history`, which runs only when it is named by --only
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(20..=2000))]
    pub days: u16,
    /// Only the benchmarks whose name contains this
    #[arg(long)]
    pub only: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
mod tests {
    use clap::{ArgAction, CommandFactory};
    use hostile::payloads;

    use super::*;

    /// What stands for the other arguments that a command needs.
    fn harmless(id: &str) -> &'static str {
        match id {
            "workflow" => "daily",
            "from" | "to" | "partition" => "2024-08-01",
            "cycle" => "99",
            "view" | "into" => "nothing",
            "at" => "2025-08-01T12:00:00Z",
            "query" => "select 1",
            other => panic!("say here what a harmless {other} is"),
        }
    }

    #[test]
    fn every_argument_of_every_command_takes_every_payload() {
        let payloads = payloads();
        let (mut places, mut pairs, mut accepted) = (0, 0, 0);
        for command in Arguments::command().get_subcommands() {
            let arguments: Vec<_> = command
                .get_arguments()
                .filter(|argument| !matches!(argument.get_action(), ArgAction::SetTrue))
                .collect();
            for argument in &arguments {
                places += 1;
                for payload in &payloads {
                    let mut line = vec!["bgp".to_owned(), command.get_name().to_owned()];
                    for other in
                        arguments.iter().filter(|other| other.is_required_set() && other.get_id() != argument.get_id())
                    {
                        line.extend(other.get_long().map(|long| format!("--{long}")));
                        line.push(harmless(other.get_id().as_str()).to_owned());
                    }
                    match argument.get_long() {
                        Some(long) => line.push(format!("--{long}={}", payload.text())),
                        // Nothing behind this is an option.
                        None => line.extend(["--".to_owned(), payload.text().to_owned()]),
                    }
                    pairs += 1;
                    match Arguments::try_parse_from(&line) {
                        // What is well-formed is for the functions to judge.
                        Ok(_) => accepted += 1,
                        Err(error) => {
                            let shown = service::plain(&error.render().to_string());
                            assert_eq!(error.exit_code(), 2, "{} {}: {shown}", command.get_name(), payload.shown());
                            assert!(
                                shown.len() > 20 && shown.len() < 5000,
                                "{} {}",
                                command.get_name(),
                                payload.shown()
                            );
                        }
                    }
                }
            }
        }
        println!("{places} arguments, {} payloads, {pairs} pairs; {accepted} well-formed", payloads.len());
        assert!(places > 15);
    }
}
