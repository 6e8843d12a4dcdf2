//! Signing configurations: where clients sign.

use super::address::Address;
use super::node::Node;
use super::report::{ALL, GO, GO_PYTHON, JS, PYTHON, Report, time};

const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.signingconfig.v0.2+json";

/// Explains a signing configuration.
pub(super) fn explain(report: &mut Report, node: &Node<'_>, now: i64) {
    report.what = "Sigstore signing configuration".to_owned();
    report.readers = ALL.to_vec();
    check(report, node, now);
}

/// A service of a list.
struct Service<'a> {
    place: String,
    url: &'a str,
    version: i64,
    start: Option<i64>,
    end: Option<i64>,
    operator: &'a str,
}

impl Service<'_> {
    fn is_valid(&self, now: i64) -> bool {
        self.start.is_none_or(|start| start <= now) && self.end.is_none_or(|end| now <= end)
    }
}

/// Checks a signing configuration, which may be a part of another document.
pub(super) fn check(report: &mut Report, node: &Node<'_>, now: i64) {
    let media_type = node.text("mediaType").unwrap_or_default();
    if media_type != MEDIA_TYPE {
        let what = format_args!("the media type is {media_type:?}; clients read only {MEDIA_TYPE}");
        let remedy = "write the file anew: cosign signing-config create, or \
            /trust/signing_config.v0.2.json of a treehead";
        report.error(
            "signing-config-media-type",
            GO_PYTHON,
            node.at("mediaType"),
            what,
            remedy,
        );
    }
    let authorities = services(report, node, "caUrls", "certificate authority", now);
    services(report, node, "oidcUrls", "identity provider", now);
    let logs = services(report, node, "rekorTlogUrls", "log", now);
    let stampers = services(report, node, "tsaUrls", "time-stamp authority", now);
    check_selector(report, node, "rekorTlogConfig", &logs, now);
    check_selector(report, node, "tsaConfig", &stampers, now);
    check_versions(report, node, &logs, now);
    check_stampers(report, &stampers);
    if authorities.is_empty() {
        let what = "no certificate authority: sigstore-python and sigstore-js then sign nothing, \
            cosign only with a key";
        report.note("no-ca-url", &[JS, PYTHON].concat(), node.at("caUrls"), what);
    }
    let has_v2 = logs.iter().any(|log| log.version == 2 && log.is_valid(now));
    if has_v2 && stampers.is_empty() && !authorities.is_empty() {
        let what = "signers are sent to Rekor v2, which dates nothing, and no time-stamp \
            authority is named: verifiers refuse each \
                    keyless signature";
        let remedy = "add tsaUrls and tsaConfig, or send signers to a v1 log (majorApiVersion 1)";
        report.error("v2-without-tsa", ALL, node.at("tsaUrls"), what, remedy);
    }
}

fn services<'a>(
    report: &mut Report,
    node: &Node<'a>,
    list: &str,
    label: &str,
    now: i64,
) -> Vec<Service<'a>> {
    let mut services = Vec::new();
    for item in node.items(list) {
        let service = Service {
            url: item.text("url").unwrap_or_default(),
            version: item.number_at("majorApiVersion").unwrap_or(0),
            start: item.time_at("validFor/start"),
            end: item.time_at("validFor/end"),
            operator: item.text("operator").unwrap_or_default(),
            place: item.place.clone(),
        };
        let since = service
            .start
            .map(|start| format!(", since {}", time(start)))
            .unwrap_or_default();
        let until = service
            .end
            .map(|end| format!(", until {}", time(end)))
            .unwrap_or_default();
        report.fact(
            label,
            format_args!("{}, API {}{since}{until}", service.url, service.version),
        );
        check_url(report, &service, list);
        if service.start.is_none() {
            let what = "the service has no validFor.start; the specification asks for it, and \
                clients choose by it";
            report.warning(
                "service-without-start",
                &service.place,
                what,
                "set validFor.start",
            );
        }
        services.push(service);
    }
    let starts: Vec<_> = services.iter().map(|service| service.start).collect();
    if !starts.is_sorted_by(|a, b| a >= b) {
        let what = "the services are not newest first. Go sorts them itself; a client that takes \
            the first one gets an old one";
        report.warning(
            "services-order",
            node.at(list),
            what,
            "put the service with the newest validFor.start first",
        );
    }
    check_operators(report, node, list, &services, now);
    services
}

fn check_operators(
    report: &mut Report,
    node: &Node<'_>,
    list: &str,
    services: &[Service<'_>],
    now: i64,
) {
    let valid = || services.iter().filter(|service| service.is_valid(now));
    let without = valid()
        .filter(|service| service.operator.is_empty())
        .count();
    if without > 1 {
        let what = format_args!(
            "{without} services have no operator, so clients take them for one operator and use \
                only one of them"
        );
        report.warning(
            "service-without-operator",
            node.at(list),
            what,
            "name the operator of each service",
        );
    }
}

fn check_url(report: &mut Report, service: &Service<'_>, list: &str) {
    let place = format!("{}/url", service.place);
    let address = Address::of(service.url);
    if !["http", "https"].contains(&address.scheme.as_str()) || address.host.is_empty() {
        let what = format_args!("{:?} is no http or https URL", service.url);
        report.error(
            "service-url",
            ALL,
            place,
            what,
            "write the whole URL, https://…",
        );
        return;
    }
    let is_base = list != "tsaUrls";
    if is_base && address.path.contains("/api/v") {
        let what = format_args!(
            "clients add the path of the API themselves, and would ask below {}",
            address.path
        );
        let remedy = "write the URL without the path of the API";
        report.error("service-url-path", ALL, place, what, remedy);
    } else if list == "rekorTlogUrls" && address.path.ends_with('/') {
        let what = "the URL ends with a slash, so sigstore-python asks for //api/…, which servers \
            may not find";
        report.warning(
            "service-url-slash",
            place,
            what,
            "remove the slash at the end",
        );
    }
}

fn check_selector(
    report: &mut Report,
    node: &Node<'_>,
    member: &str,
    services: &[Service<'_>],
    now: i64,
) {
    let place = node.at(member);
    let selector = node.text_at(&format!("{member}/selector"));
    let count = node.number_at(&format!("{member}/count")).unwrap_or(0);
    if services.is_empty() {
        return;
    }
    match selector {
        None | Some("SERVICE_SELECTOR_UNDEFINED") => {
            let what =
                "no selector: sigstore-go and cosign fail, sigstore-js uses none of these services";
            let remedy = format!("add \"{member}\": {{\"selector\": \"ANY\"}}");
            report.error("selector-missing", &[GO, JS].concat(), place, what, remedy);
        }
        Some("ANY") => {}
        Some("ALL") => {
            let what = "sigstore-js knows the selector ANY alone";
            report.error(
                "selector-not-any",
                JS,
                place,
                what,
                "use ANY if users of sigstore-js sign with this file",
            );
        }
        Some("EXACT") => {
            let what = "sigstore-js knows the selector ANY alone";
            report.error(
                "selector-not-any",
                JS,
                &place,
                what,
                "use ANY if users of sigstore-js sign with this file",
            );
            let operators: std::collections::BTreeSet<&str> = services
                .iter()
                .filter(|service| service.is_valid(now))
                .map(|service| service.operator)
                .collect();
            let available = operators.len();
            if usize::try_from(count).is_ok_and(|count| count == 0 || count > available) {
                let what = format_args!(
                    "EXACT asks for {count} services, and {available} operators have one that is \
                        valid now"
                );
                let remedy = format!("set count to a number from 1 to {available}");
                report.error("selector-count", GO_PYTHON, place, what, remedy);
            }
        }
        Some(other) => {
            let what = format_args!("there is no selector {other:?}");
            report.error(
                "selector-unknown",
                ALL,
                place,
                what,
                "use ANY, ALL or EXACT",
            );
        }
    }
}

fn check_versions(report: &mut Report, node: &Node<'_>, logs: &[Service<'_>], now: i64) {
    let place = node.at("rekorTlogUrls");
    if logs.is_empty() {
        let what = "no log: signatures are not logged. sigstore-python refuses such a file";
        report.error(
            "no-log-url",
            PYTHON,
            place,
            what,
            "add rekorTlogUrls and rekorTlogConfig",
        );
        return;
    }
    let known = |log: &&Service<'_>| [1, 2].contains(&log.version);
    for log in logs.iter().filter(|log| !known(log)) {
        let what = format_args!(
            "majorApiVersion is {}; clients know 1 and 2, and pass over this log",
            log.version
        );
        report.warning(
            "service-version",
            format_args!("{}/majorApiVersion", log.place),
            what,
            "write 1 or 2, whichever API the log has",
        );
    }
    let usable = || logs.iter().filter(known).filter(|log| log.is_valid(now));
    if usable().next().is_none() {
        let what = format_args!("no log of a known version is valid now ({})", time(now));
        let remedy = "correct validFor or majorApiVersion; and check the clock of this machine";
        report.error("no-valid-log", GO_PYTHON, place, what, remedy);
        return;
    }
    let newest = logs
        .iter()
        .filter(known)
        .filter(|log| log.end.is_none_or(|end| now <= end));
    let newest = newest.max_by_key(|log| log.start);
    let highest = usable().map(|log| log.version).max();
    if let Some(newest) = newest
        && Some(newest.version) != highest
    {
        let what = format_args!(
            "sigstore-js takes the log that began last ({}, API {}), the other clients the one of \
                the highest version",
            newest.url, newest.version
        );
        let remedy = "give the log of the highest version the newest start, if all are to sign \
            with the same log";
        report.warning("clients-choose-differently", place, what, remedy);
    }
    for log in logs
        .iter()
        .filter(|log| log.start.is_some_and(|start| start > now))
    {
        let what =
            "the log begins in the future; sigstore-js passes over that and may use it today";
        report.warning(
            "service-in-future",
            &log.place,
            what,
            "add it when it begins",
        );
    }
}

fn check_stampers(report: &mut Report, stampers: &[Service<'_>]) {
    for stamper in stampers {
        let path = Address::of(stamper.url).path;
        if path.trim_matches('/').is_empty() {
            let what = "the URL of a time-stamp authority is used as it is (only sigstore-js adds \
                a path); this one has no path, and \
                        the authority answers 404 there";
            let remedy = format!(
                "write {}/api/v1/timestamp",
                stamper.url.trim_end_matches('/')
            );
            report.error(
                "tsa-url-not-full",
                GO_PYTHON,
                format_args!("{}/url", stamper.place),
                what,
                remedy,
            );
        }
    }
}
