import ArgumentParser

/// The ledger that runs are charged to and accounts are read from.
struct LedgerArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Account of all runs on your data sets: training charges every step to it before its noise is drawn.",
            valueName: "file"))
    var ledger: String?
}
