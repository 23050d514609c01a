import ArgumentParser
import DPONNX

struct AccountCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "account",
        abstract: "Tells epsilon from noise and steps, noise from epsilon and steps, or steps from both.",
        discussion: """
            Give two of --noise-multiplier, --steps and --epsilon; the third is computed, by --accountant. The accounting \
            is that of Poisson sampling with add-or-remove-one adjacency. All accountants are printed side by side: pld \
            is the tightest bound, with what no analysis can go below; gdp is an approximation and no guarantee.

            With --ledger the runs recorded there are composed, data set by data set and unit by unit: runs on rows and \
            runs on groups of rows do not add up. --mechanism bandmf --bands b accounts for correlated noise as train does: \
            T/b steps at sampling rate b q. --plot draws the curves behind the numbers.

            Example: dponnx account --sampling-rate 0.01 --noise-multiplier 0.7 --steps 120 --delta 1e-5
            """)

    @Option(help: ArgumentHelp("Probability q with which a row enters a batch.", valueName: "q"))
    var samplingRate: Double?

    @Option(help: ArgumentHelp("Noise standard deviation in units of the clipping norm.", valueName: "sigma"))
    var noiseMultiplier: Double?

    @Option(help: ArgumentHelp("Number of noisy updates.", valueName: "t"))
    var steps: Int?

    @Option(help: ArgumentHelp("Epsilon to reach.", valueName: "epsilon"))
    var epsilon: Double?

    @Option(help: ArgumentHelp("delta of (epsilon, delta).", valueName: "delta"))
    var delta: Double

    @Option(name: .customLong("mechanism"), help: "Noise of different steps: independent or correlated.")
    var noise = PrivacyRequest.Noise.gaussian

    @Option(help: ArgumentHelp("Steps over which noise is correlated, with --mechanism bandmf.", valueName: "b"))
    var bands: Int?

    @OptionGroup var account: LedgerArguments

    @Option(help: "The method that noise or steps are computed by.")
    var accountant = PrivacyAccountant.pld

    @Option(
        help: ArgumentHelp(
            "Write a picture of epsilon over delta and of the trade-off between a distinguisher's errors.",
            valueName: "file.svg"))
    var plot: String?

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
        guard delta > 0, delta < 1 else { throw ValidationError("--delta must lie between 0 and 1") }
        if account.ledger != nil {
            guard samplingRate == nil, noiseMultiplier == nil, steps == nil, epsilon == nil, noise == .gaussian,
                bands == nil
            else {
                throw ValidationError("a ledger says what was run; give --ledger and --delta alone")
            }
            return
        }
        guard let samplingRate else { throw ValidationError("give --sampling-rate, or --ledger") }
        guard samplingRate >= 0, samplingRate <= 1 else { throw ValidationError("--sampling-rate must lie in 0...1") }
        guard (noise == .bandmf) == (bands != nil) else {
            throw ValidationError("--mechanism bandmf and --bands belong together")
        }
        if let bands, !(bands > 0 && Double(bands) * samplingRate <= 1 + 1e-9) {
            throw ValidationError(
                "--bands is 1 or more and at most 1 / --sampling-rate: parts are no smaller than batches")
        }
        let given = (noiseMultiplier == nil ? 0 : 1) + (steps == nil ? 0 : 1) + (epsilon == nil ? 0 : 1)
        guard given == 2 else { throw ValidationError("give two of --noise-multiplier, --steps and --epsilon") }
        if let noiseMultiplier, !(noiseMultiplier >= 0 && noiseMultiplier.isFinite) {
            throw ValidationError("--noise-multiplier must be finite and not negative")
        }
        if let steps, steps < 0 { throw ValidationError("--steps must not be negative") }
        if let epsilon, !(epsilon > 0 && epsilon.isFinite) {
            throw ValidationError("--epsilon must be positive and finite")
        }
    }

    private struct Report: Encodable {
        struct LossDistribution: Encodable {
            var epsilon: Double
            var epsilonLower: Double
        }
        struct Renyi: Encodable {
            var epsilon: Double
            var order: Double?
        }
        struct Approximation: Encodable {
            var epsilon: Double
            var upperBound: Bool
        }
        var samplingRate: Double
        var noiseMultiplier: Double
        var steps: Int
        var mechanism: String
        var bands: Int?
        var delta: Double
        var pld: LossDistribution
        var rdp: Renyi
        var gdp: Approximation
    }

    func run() throws {
        try reportingFailures {
            if let ledger = account.ledger {
                let totals = LedgerTotal.all(try PrivacyLedger.runs(in: ledger))
                let report = LedgerReport(totals, delta: delta)
                try draw(
                    totals.map { total in
                        let name = total.dataset.isEmpty ? "unnamed" : total.dataset
                        return (total.unit == PrivacyMechanism.rowUnit ? name : "\(name), \(total.unit)", total.events)
                    }, "all runs")
                if json { try printJSON(report) } else { print(report.text) }
                return
            }
            let samplingRate = samplingRate!
            var (sigma, count) = (noiseMultiplier ?? 0, steps ?? 0)
            let sampler: BatchSampler =
                bands.map { .cyclicPoisson(rate: samplingRate, subsets: $0) } ?? .poisson(rate: samplingRate)
            if noiseMultiplier == nil {
                // The number of rows plays no part.
                sigma = accountant.noiseMultiplier(
                    epsilon: epsilon!, delta: delta, sampler: sampler, datasetSize: 1, steps: count)
            } else if steps == nil {
                let (steps, isEndless) = accountant.maximumSteps(
                    epsilon: epsilon!, delta: delta, samplingRate: sampler.drawingRate, noiseMultiplier: sigma
                ).multipliedReportingOverflow(by: sampler.separation)
                guard !isEndless, steps < .max else {
                    throw UsageError("any number of steps stays below --epsilon: nothing is ever released")
                }
                count = steps
            }
            let event = sampler.event(datasetSize: 1, noiseMultiplier: sigma, count: count)
            let enclosure = PrivacyLossAccountant([event]).epsilon(delta: delta)
            let bound = PrivacyAccountant.rdp.epsilon(of: [event], delta: delta)
            let approximation = GaussianApproximation([event]).epsilon(delta: delta)
            let report = Report(
                samplingRate: samplingRate, noiseMultiplier: sigma, steps: count, mechanism: noise.rawValue,
                bands: bands, delta: delta,
                pld: .init(epsilon: enclosure.upper, epsilonLower: enclosure.lower),
                rdp: .init(epsilon: bound.epsilon, order: bound.order),
                gdp: .init(epsilon: approximation.epsilon, upperBound: false))
            try draw(
                [("this mechanism", [event])],
                "q \(samplingRate), sigma \(fixed(sigma, 4)), \(count) steps")
            if json { try printJSON(report) } else { printText(report) }
        }
    }

    private func draw(_ subjects: [(name: String, events: [PrivacyEvent])], _ title: String) throws {
        guard let plot else { return }
        try TextFile.write(GuaranteePicture.svg(subjects, title: title), to: plot, ownerOnly: false)
    }

    private func printText(_ report: Report) {
        print(
            "sampling rate \(report.samplingRate), noise multiplier \(report.noiseMultiplier), steps \(report.steps), delta \(report.delta)"
                + (report.bands.map { ", noise correlated over \($0) steps" } ?? "")
        )
        var table = Table(header: ["accountant", "epsilon", "meaning"])
        let order = report.rdp.order.map { " (order \($0))" } ?? ""
        table.add("pld", "\(report.pld.epsilon)", "upper bound; not below \(report.pld.epsilonLower) by any method")
        table.add("rdp", "\(report.rdp.epsilon)", "upper bound\(order)")
        table.add("gdp", "\(report.gdp.epsilon)", "approximation, not a guarantee")
        print(table.text)
    }
}
