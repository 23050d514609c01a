import DPONNX

/// What the runs of a ledger have spent, data set by data set.
struct LedgerReport: Encodable {
    struct DataSet: Encodable {
        var id: String
        var runs: Int
        /// Steps charged.
        var steps: Int
        var pld: LossDistribution
        var rdp: Renyi
        var runList: [Run]
    }
    /// One run by itself.
    struct Run: Encodable {
        var run: String
        var sampler: String
        var samplingRate: Double
        var noiseMultiplier: Double
        var steps: Int
        /// Upper bound, by privacy loss distributions.
        var epsilon: Double
        var fingerprint: String?
    }
    struct LossDistribution: Encodable {
        var epsilon: Double
        var epsilonLower: Double
    }
    struct Renyi: Encodable {
        var epsilon: Double
        var order: Double?
    }
    var delta: Double
    var dataSets: [DataSet]

    init(_ runs: [LedgerRun], delta: Double) {
        self.delta = delta
        dataSets = Dictionary(grouping: runs, by: \.dataset).sorted { $0.key < $1.key }.map { id, runs in
            let events = runs.map(\.event)
            let enclosure = PrivacyLossAccountant(events).epsilon(delta: delta)
            let bound = PrivacyAccountant.rdp.epsilon(of: events, delta: delta)
            return DataSet(
                id: id, runs: runs.count, steps: runs.reduce(0) { $0 + $1.charged },
                pld: .init(epsilon: enclosure.upper, epsilonLower: enclosure.lower),
                rdp: .init(epsilon: bound.epsilon, order: bound.order), runList: Self.list(runs, delta: delta))
        }
    }

    private static func list(_ runs: [LedgerRun], delta: Double) -> [Run] {
        var known: [PrivacyEvent: Double] = [:]
        return runs.map { run in
            let epsilon = known[run.event] ?? PrivacyLossAccountant([run.event]).epsilon(delta: delta).upper
            known[run.event] = epsilon
            return Run(
                run: run.id, sampler: run.sampler.name, samplingRate: run.sampler.samplingRate,
                noiseMultiplier: run.noiseMultiplier, steps: run.charged, epsilon: epsilon,
                fingerprint: run.fingerprint)
        }
    }

    var text: String {
        var table = Table(header: ["data set", "runs", "steps", "epsilon (pld)", "epsilon (rdp)"])
        for set in dataSets {
            table.add(set.id, "\(set.runs)", "\(set.steps)", "\(set.pld.epsilon)", "\(set.rdp.epsilon)")
        }
        var runs = Table(header: ["run", "data set", "sampler", "q", "sigma", "steps", "epsilon (pld)"])
        for set in dataSets {
            for run in set.runList {
                runs.add(
                    run.run, set.id, run.sampler, "\(run.samplingRate)", "\(run.noiseMultiplier)", "\(run.steps)",
                    "\(run.epsilon)")
            }
        }
        return "delta \(delta)\n" + table.text + "\n\n" + runs.text
    }
}
