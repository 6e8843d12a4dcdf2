# shellcheck shell=bash
first_start_checks() { :; }
