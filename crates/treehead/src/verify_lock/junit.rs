//! The report as JUnit XML, which CI systems show as tests: a case for each artefact.

use client::lock::Verdict;
use quick_junit::{NonSuccessKind, SerializeError, TestCase, TestCaseStatus, TestSuite};

use super::report::{Report, title};

pub(super) fn junit(report: &Report<'_>) -> Result<String, SerializeError> {
    let mut suite = TestSuite::new(report.file);
    for (artefact, judgement) in report.lines() {
        let status = match (report.finding((artefact, judgement)), &judgement.verdict) {
            (Some(finding), _) => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                status.set_message(finding);
                status
            }
            (None, Verdict::NotCheckable(why)) => {
                let mut status = TestCaseStatus::skipped();
                status.set_message(*why);
                status
            }
            (None, _) => TestCaseStatus::success(),
        };
        let mut case = TestCase::new(title(artefact), status);
        case.set_classname(report.lock.format.name());
        suite.add_test_case(case);
    }
    let mut junit = quick_junit::Report::new("treehead verify-lock");
    junit.add_test_suite(suite);
    junit.to_string()
}
