import DPONNX

/// What the runs of a ledger have spent, data set by data set.
///
/// Only runs that protect the same unit add up. What runs on rows and runs on users cost somebody together follows from
/// neither: a user has any number of rows, and one row more moves a user's gradient by up to 2 C.
struct LedgerReport: Encodable {
    /// The runs on one data set with one unit of privacy.
    struct DataSet: Encodable {
        var id: String
        var unit: String
        /// What their total holds for: zero-out as soon as one of them took N from the data.
        var adjacency: String
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
        /// Of correlated noise, which is charged as a whole.
        var bands: Int?
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
    /// What the numbers do not say, one sentence each.
    var notes: [String]

    init(_ accounts: [LedgerTotal], delta: Double) {
        self.delta = delta
        dataSets = accounts.map { account in
            let events = account.events
            let enclosure = PrivacyLossAccountant(events).epsilon(delta: delta)
            let bound = PrivacyAccountant.rdp.epsilon(of: events, delta: delta)
            return DataSet(
                id: account.dataset, unit: account.unit, adjacency: account.adjacency.rawValue,
                runs: account.runs.count, steps: account.runs.reduce(0) { $0 + $1.charged },
                pld: .init(epsilon: enclosure.upper, epsilonLower: enclosure.lower),
                rdp: .init(epsilon: bound.epsilon, order: bound.order),
                runList: Self.list(account.runs, delta: delta))
        }
        notes = Dictionary(grouping: accounts, by: \.dataset).filter { $0.value.count > 1 }.keys.sorted().map {
            "the runs on data set '\($0)' protect different units and are not added up: each epsilon counts the runs of its own unit only, and what all of them together cost is not known"
        }
    }

    private static func list(_ runs: [LedgerRun], delta: Double) -> [Run] {
        var known: [PrivacyEvent: Double] = [:]
        return runs.map { run in
            let epsilon = known[run.event] ?? PrivacyLossAccountant([run.event]).epsilon(delta: delta).upper
            known[run.event] = epsilon
            return Run(
                run: run.id, sampler: run.sampler.name, samplingRate: run.sampler.samplingRate,
                noiseMultiplier: run.noiseMultiplier, bands: run.bands, steps: run.charged, epsilon: epsilon,
                fingerprint: run.fingerprint)
        }
    }

    var text: String {
        var table = Table(header: ["data set", "unit", "runs", "steps", "epsilon (pld)", "epsilon (rdp)"])
        for set in dataSets {
            table.add(set.id, set.unit, "\(set.runs)", "\(set.steps)", "\(set.pld.epsilon)", "\(set.rdp.epsilon)")
        }
        var runs = Table(header: ["run", "data set", "sampler", "q", "sigma", "steps", "epsilon (pld)"])
        for set in dataSets {
            for run in set.runList {
                runs.add(
                    run.run, set.id, run.sampler, "\(run.samplingRate)", "\(run.noiseMultiplier)", "\(run.steps)",
                    "\(run.epsilon)")
            }
        }
        return (["delta \(delta)", table.text] + notes + ["", runs.text]).joined(separator: "\n")
    }
}
