//! The outbox with real receivers on this machine.

mod receiver;
mod relay;

use std::fs;
use std::path::{Path, PathBuf};

use prometheus::{Encoder, Registry, TextEncoder};
use serde::Deserialize;
use serde_json::Value;

use super::*;
use crate::channels::ChannelSection;
use crate::notice::AlarmNotice;
use receiver::{Reply, SECRET, receiver};
use relay::relay;

/// A time that signatures state.
const NOW: i64 = 1_795_384_279;

#[derive(Deserialize)]
struct File {
    channel: Vec<ChannelSection>,
}

fn surroundings() -> Surroundings {
    Surroundings {
        now: Arc::new(|| NOW),
        jitter: Arc::new(|| 0.5),
        backoff: Backoff {
            first: Duration::from_millis(10),
            longest: Duration::from_millis(40),
        },
    }
}

fn open(folder: &Path, channels: &str) -> (Outbox, Registry) {
    let file: File = toml::from_str(channels).unwrap();
    let registry = Registry::new();
    let metrics = OutboxMetrics::new(&registry).unwrap();
    let channels = Channels::new(&file.channel).unwrap();
    let outbox = Outbox::open(&folder.join("outbox"), channels, metrics, surroundings());
    (outbox.unwrap(), registry)
}

fn notice(id: &str) -> Notice {
    let alarm = AlarmNotice {
        alarm: "fork".to_owned(),
        evidence: None,
    };
    Notice::of_alarm(id.to_owned(), "log", NOW, "two heads", alarm)
}

fn webhook(folder: &Path, url: &str) -> String {
    let secret = folder.join("secret");
    fs::write(&secret, format!("{SECRET}\n")).unwrap();
    let secret = secret.display();
    format!("[[channel]]\ntype = 'webhook'\nurl = '{url}'\nsecret-file = '{secret}'\n")
}

fn json(file: &Path) -> String {
    let file = file.display();
    format!("[[channel]]\ntype = 'json'\nfile = '{file}'\n")
}

fn lines(file: &Path) -> Vec<(String, bool)> {
    let text = fs::read_to_string(file).unwrap();
    let notices = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let notices = notices.map(|notice: Value| {
        let id = notice["id"].as_str().unwrap().to_owned();
        (id, notice["repeated"].as_bool().unwrap())
    });
    notices.collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder.join("outbox/notices")).unwrap();
    files.map(|file| file.unwrap().path()).collect()
}

fn metrics(registry: &Registry) -> String {
    let mut text = Vec::new();
    TextEncoder::new()
        .encode(&registry.gather(), &mut text)
        .unwrap();
    String::from_utf8(text).unwrap()
}

/// Waits until everything is delivered; fails where a receiver has failed.
async fn delivered(outbox: &Outbox) {
    let waiting = tokio::time::timeout(Duration::from_secs(60), outbox.delivered());
    waiting.await.expect("delivered in time");
}

fn first(id: &str) -> (String, bool) {
    (id.to_owned(), false)
}

fn again(id: &str) -> (String, bool) {
    (id.to_owned(), true)
}

#[tokio::test]
async fn a_webhook_is_tried_again_with_the_same_id_until_it_takes_the_notice() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = receiver(vec![
        Reply::Status(500),
        Reply::Status(302),
        Reply::Status(204),
        Reply::Status(200),
    ])
    .await;
    let (outbox, registry) = open(folder.path(), &webhook(folder.path(), &receiver.url));
    outbox.put(&[notice("a"), notice("b")]).await.unwrap();
    delivered(&outbox).await;
    assert_eq!(
        receiver.got(),
        [first("a"), again("a"), again("a"), first("b")]
    );
    assert!(files(folder.path()).is_empty());
    let metrics = metrics(&registry);
    for line in [
        "treehead_notices_delivered_total{channel=\"webhook\"} 2",
        "treehead_notices_failed_total{channel=\"webhook\"} 2",
        "treehead_notices_queued{channel=\"webhook\"} 0",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
}

#[tokio::test]
async fn a_notice_whose_answer_was_lost_is_repeated_with_its_mark() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = receiver(vec![Reply::Never, Reply::Status(200), Reply::Status(200)]).await;
    let channels = webhook(folder.path(), &receiver.url);
    let (outbox, _) = open(folder.path(), &channels);
    outbox.put(&[notice("a"), notice("b")]).await.unwrap();
    receiver.wait_for(1).await;
    // As in a crash: nothing is finished or written.
    drop(outbox);
    let (outbox, _) = open_again(folder.path(), &channels).await;
    assert_eq!(outbox.len(), 2);
    // It waits already.
    outbox.put(&[notice("b")]).await.unwrap();
    delivered(&outbox).await;
    assert_eq!(receiver.got(), [first("a"), again("a"), first("b")]);
}

/// Opens an outbox whose tasks may not have ended yet.
async fn open_again(folder: &Path, channels: &str) -> (Outbox, Registry) {
    for _ in 0..100 {
        let lock = fs::File::open(folder.join("outbox/outbox.lock")).unwrap();
        if lock.try_lock().is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    open(folder, channels)
}

#[tokio::test]
async fn each_channel_has_its_own_pace() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notices.jsonl");
    let receiver = receiver(vec![Reply::Never]).await;
    let channels = webhook(folder.path(), &receiver.url) + &json(&file);
    let (outbox, registry) = open(folder.path(), &channels);
    outbox.put(&[notice("a"), notice("b")]).await.unwrap();
    receiver.wait_for(1).await;
    while !file.exists() || lines(&file).len() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(lines(&file), [first("a"), first("b")]);
    assert_eq!(files(folder.path()).len(), 2, "the webhook needs them");
    let queued = "treehead_notices_queued{channel=\"webhook\"} 2";
    assert!(metrics(&registry).contains(queued));
    drop(outbox);

    // Without the webhook nobody needs them any more.
    let (outbox, _) = open_again(folder.path(), &json(&file)).await;
    outbox.put(&[notice("c")]).await.unwrap();
    delivered(&outbox).await;
    outbox.close().await;
    // The last one may be repeated, because it was delivered just before the crash.
    let rest = lines(&file).split_off(2);
    assert!(
        rest == [first("c")] || rest == [again("b"), first("c")],
        "{rest:?}"
    );
    assert!(files(folder.path()).is_empty());
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = receiver(vec![Reply::Status(410)]).await;
    let channels = webhook(folder.path(), &receiver.url);
    let (outbox, _) = open(folder.path(), &channels);
    outbox.put(&[notice("a")]).await.unwrap();
    delivered(&outbox).await;
    let error = outbox.put(&[notice("b")]).await.unwrap_err();
    assert!(matches!(error, OutboxError::NobodyLeft), "{error}");
    drop(outbox);
    let (outbox, _) = open_again(folder.path(), &channels).await;
    assert!(outbox.put(&[notice("b")]).await.is_err(), "also later");
    assert_eq!(receiver.got(), [first("a")]);
    assert_eq!(files(folder.path()).len(), 1, "it is not lost");
}

#[tokio::test]
async fn a_notice_that_is_refused_for_good_holds_up_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notices.jsonl");
    let mut replies = vec![Reply::Status(400); 5];
    replies.push(Reply::Status(200));
    let receiver = receiver(replies).await;
    let channels = webhook(folder.path(), &receiver.url) + &json(&file);
    let (outbox, registry) = open(folder.path(), &channels);
    outbox.put(&[notice("a"), notice("b")]).await.unwrap();
    delivered(&outbox).await;
    let mut expected = vec![first("a")];
    expected.resize(5, again("a"));
    expected.push(first("b"));
    assert_eq!(receiver.got(), expected);
    assert_eq!(lines(&file), [first("a"), first("b")], "the other channel");
    assert!(files(folder.path()).is_empty());
    let refused = folder.path().join("outbox/refused/webhook-a.json");
    assert_eq!(lines(&refused), [again("a")], "it is not lost");
    let metrics = metrics(&registry);
    for line in [
        "treehead_notices_delivered_total{channel=\"webhook\"} 1",
        "treehead_notices_failed_total{channel=\"webhook\"} 5",
        "treehead_notices_queued{channel=\"webhook\"} 0",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
}

#[tokio::test]
async fn notices_that_cannot_be_read_hold_up_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notices.jsonl");
    let notices = folder.path().join("outbox/notices");
    fs::create_dir_all(&notices).unwrap();
    let whole = notice("a").json();
    for (number, contents) in [
        (0, "{\"id\":\"cut"),
        (1, &*whole),
        (2, &*" ".repeat(2 * 1024 * 1024)),
        (3, "[]"),
    ] {
        fs::write(notices.join(format!("{number:020}.json")), contents).unwrap();
    }
    for (id, expected) in [
        ("b", ["a", "b"].as_slice()),
        ("c", ["a", "b", "c"].as_slice()),
    ] {
        let (outbox, _) = open(folder.path(), &json(&file));
        outbox.put(&[notice(id)]).await.unwrap();
        delivered(&outbox).await;
        outbox.close().await;
        let ids: Vec<String> = lines(&file).into_iter().map(|(id, _)| id).collect();
        assert_eq!(ids, expected);
    }
    let mut left: Vec<String> = files(folder.path())
        .iter()
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    left.sort();
    let expected = [0, 2, 3].map(|number| format!("{number:020}.unreadable"));
    assert_eq!(left, expected);
}

#[tokio::test]
async fn a_notice_that_could_not_be_read_again_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (outbox, _) = open(folder.path(), "[[channel]]\ntype = 'text'");
    let long = Notice {
        log: "x".repeat(2 * 1024 * 1024),
        ..notice("a")
    };
    let error = outbox.put(&[long]).await.unwrap_err().to_string();
    assert!(error.contains("the limit is"), "{error}");
    assert!(files(folder.path()).is_empty());
}

#[tokio::test]
async fn a_full_outbox_waits_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut replies = vec![Reply::Status(503); 3];
    replies.resize(3 + MAX_QUEUED + 5, Reply::Status(200));
    let receiver = receiver(replies).await;
    let (outbox, _) = open(folder.path(), &webhook(folder.path(), &receiver.url));
    let notices: Vec<Notice> = (0..MAX_QUEUED + 5)
        .map(|number| notice(&number.to_string()))
        .collect();
    outbox.put(&notices).await.unwrap();
    delivered(&outbox).await;
    let mut ids: Vec<String> = receiver.got().into_iter().map(|(id, _)| id).collect();
    ids.dedup();
    let expected: Vec<String> = notices.into_iter().map(|notice| notice.id).collect();
    assert_eq!(ids, expected);
}

#[tokio::test]
async fn two_processes_cannot_use_one_outbox() {
    let folder = tempfile::tempdir().unwrap();
    let (_outbox, _) = open(folder.path(), "[[channel]]\ntype = 'text'");
    let second = Files::open(&folder.path().join("outbox"));
    assert!(matches!(second, Err(OutboxError::InUse(_))));
}

#[tokio::test]
async fn a_line_that_a_crash_cut_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notices.jsonl");
    fs::write(&file, "{\"id\":\"cut").unwrap();
    let (outbox, _) = open(folder.path(), &json(&file));
    outbox.put(&[notice("a")]).await.unwrap();
    delivered(&outbox).await;
    assert_eq!(lines(&file), [first("a")]);
}

#[tokio::test]
async fn an_email_goes_through_a_relay() {
    let folder = tempfile::tempdir().unwrap();
    let relay = relay().await;
    let (outbox, _) = open(
        folder.path(),
        &format!(
            "[[channel]]\ntype = 'email'\nrelay = '127.0.0.1'\nport = {}\ntls = 'none'\n\
             from = 'treehead <treehead@example.com>'\nto = ['a@example.com', 'b@example.com']\n",
            relay.port
        ),
    );
    outbox.put(&[notice("abc")]).await.unwrap();
    delivered(&outbox).await;
    let mail = relay.mails().pop().unwrap();
    for line in [
        "Message-ID: <abc@treehead>",
        "Subject: [repeated] log: fork",
        "ALARM fork log: two heads",
        "\"repeated\": true",
        "RCPT TO:<a@example.com>",
        "RCPT TO:<b@example.com>",
    ] {
        assert!(mail.contains(line), "{line} is not in {mail}");
    }
}

#[test]
fn malformed_channels_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, "no secret").unwrap();
    let secret = secret.display();
    for (channels, expected) in [
        ("type = 'text'\nname = '../x'".to_owned(), "a name has"),
        (
            "type = 'text'\n[[channel]]\ntype = 'text'".to_owned(),
            "channel \"text\": another channel",
        ),
        (
            format!("type = 'webhook'\nurl = 'http://example.com/'\nsecret-file = '{secret}'"),
            "http is only for this machine",
        ),
        (
            format!("type = 'webhook'\nurl = 'https://example.com/'\nsecret-file = '{secret}'"),
            "whsec_",
        ),
        (
            "type = 'email'\nrelay = 'mail.example.com'\ntls = 'none'\nfrom = 'a@b.c'\nto = ['a@b.c']"
                .to_owned(),
            "another machine",
        ),
        (
            "type = 'email'\nrelay = 'localhost'\ntls = 'none'\nfrom = 'nobody'\nto = ['a@b.c']"
                .to_owned(),
            "no e-mail address",
        ),
    ] {
        let file: File = toml::from_str(&format!("[[channel]]\n{channels}")).unwrap();
        let error = Channels::new(&file.channel).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    for (channel, expected) in [
        ("type = 'pigeon'", "unknown variant `pigeon`"),
        ("type = 'text'\ncolour = 'red'", "unknown field `colour`"),
        ("type = 'webhook'\nurl = 'x'", "missing field `secret-file`"),
    ] {
        let error = toml::from_str::<File>(&format!("\n[[channel]]\n{channel}"));
        let error = error.err().unwrap().to_string();
        assert!(
            error.contains(expected) && error.contains("line"),
            "{error}"
        );
    }
}
