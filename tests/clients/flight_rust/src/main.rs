//! A client of Flight SQL in Rust, by `arrow-flight`'s own: statements, prepared statements, metadata, cancel, login.
//!
//!     flight_rust HOST:PORT COMMAND [ARGUMENT...]
//!
//! Prints a line for each fact: a topic, a tab, and JSON. FLIGHT_USER and FLIGHT_PASSWORD log in.

use std::{env, error::Error, process::ExitCode, sync::Arc, time::Instant};

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{CommandGetPrimaryKeys, CommandGetTables};
use arrow_flight::{CancelFlightInfoRequest, FlightClient, FlightInfo};
use arrow_schema::{DataType, Field, Schema};
use futures::TryStreamExt;
use serde_json::{Value, json};
use tonic::transport::{Channel, Endpoint};

type Client = FlightSqlServiceClient<Channel>;
type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    match runtime.block_on(run(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say("error", json!(error.to_string()));
            ExitCode::from(3)
        }
    }
}

async fn run(arguments: &[String]) -> Outcome {
    let channel = Endpoint::from_shared(format!("http://{}", arguments[0]))?.connect().await?;
    let mut client = FlightSqlServiceClient::new(channel);
    if let (Ok(user), Ok(password)) = (env::var("FLIGHT_USER"), env::var("FLIGHT_PASSWORD")) {
        client.handshake(&user, &password).await?;
    }
    let rest: Vec<&str> = arguments[2..].iter().map(String::as_str).collect();
    match arguments[1].as_str() {
        "query" => {
            let info = client.execute(rest[0].to_owned(), None).await?;
            print(&mut client, info).await
        }
        "bind" => bind(&mut client, rest[0], rest[1]).await,
        "tables" => {
            let request = CommandGetTables { include_schema: false, ..Default::default() };
            let info = client.get_tables(request).await?;
            print(&mut client, info).await
        }
        "keys" => {
            let (db_schema, table) = (Some(rest[0].to_owned()), rest[1].to_owned());
            let request = CommandGetPrimaryKeys { catalog: None, db_schema, table };
            let info = client.get_primary_keys(request).await?;
            print(&mut client, info).await
        }
        "info" => {
            let info = client.get_sql_info(vec![]).await?;
            print(&mut client, info).await
        }
        "cancel" => cancel(client, rest[0]).await,
        other => Err(format!("no command {other}").into()),
    }
}

/// Executes a prepared statement with one text parameter.
async fn bind(client: &mut Client, sql: &str, value: &str) -> Outcome {
    let mut statement = client.prepare(sql.to_owned(), None).await?;
    let types: Vec<String> = statement.parameter_schema()?.fields().iter().map(|f| f.data_type().to_string()).collect();
    say("parameters", json!(types));
    let schema = Arc::new(Schema::new(vec![Field::new("$1", DataType::Utf8, false)]));
    let column: ArrayRef = Arc::new(StringArray::from(vec![value]));
    statement.set_parameters(RecordBatch::try_new(schema, vec![column])?)?;
    let info = statement.execute().await?;
    print(client, info).await?;
    Ok(statement.close().await?)
}

/// Starts a long query, cancels it by its FlightInfo once a line comes in, and says how long its stream took to end.
async fn cancel(mut client: Client, sql: &str) -> Outcome {
    let info = client.execute(sql.to_owned(), None).await?;
    let ticket = info.endpoint[0].ticket.clone().ok_or("an endpoint without a ticket")?;
    let mut other = FlightClient::new_from_inner(client.inner().clone());
    let mut reading = client.clone();
    let reader = async move {
        let ended: Outcome<Vec<RecordBatch>> = async { Ok(reading.do_get(ticket).await?.try_collect().await?) }.await;
        ended.is_err()
    };
    let canceller = async {
        tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await??;
        let started = Instant::now();
        let result = other.cancel_flight_info(CancelFlightInfoRequest::new(info)).await?;
        Outcome::Ok((started, result.status().as_str_name().to_owned()))
    };
    let (failed, cancelled) = futures::join!(reader, canceller);
    let (started, status) = cancelled?;
    say("cancelled", json!([status, started.elapsed().as_millis() as u64, failed]));
    Ok(())
}

async fn print(client: &mut Client, info: FlightInfo) -> Outcome {
    let options = FormatOptions::default().with_null("NULL");
    let told = info.clone().try_decode_schema()?;
    for endpoint in info.endpoint {
        let ticket = endpoint.ticket.ok_or("an endpoint without a ticket")?;
        let mut stream = client.do_get(ticket).await?;
        let mut seen = false;
        while let Some(batch) = stream.try_next().await? {
            if !seen {
                describe(&told, batch.schema().as_ref());
                seen = true;
            }
            let columns: Vec<ArrayFormatter> =
                batch.columns().iter().map(|c| ArrayFormatter::try_new(c, &options)).collect::<Result<_, _>>()?;
            for row in 0..batch.num_rows() {
                let cells: Vec<String> = columns.iter().map(|c| c.value(row).to_string()).collect();
                say("row", json!(cells));
            }
        }
        if !seen {
            describe(&told, stream.schema().ok_or("a stream without a schema")?);
        }
    }
    Ok(())
}

fn describe(told: &Schema, streamed: &Schema) {
    let columns: Vec<Value> =
        streamed.fields().iter().map(|f| json!([f.name(), f.data_type().to_string()])).collect();
    say("columns", json!(columns));
    say("same_schema", json!(told.fields() == streamed.fields()));
}

fn say(topic: &str, fact: Value) {
    println!("{topic}\t{fact}");
}
