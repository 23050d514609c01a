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
                rdp: .init(epsilon: bound.epsilon, order: bound.order))
        }
    }

    var text: String {
        var table = Table(header: ["data set", "runs", "steps", "epsilon (pld)", "epsilon (rdp)"])
        for set in dataSets {
            table.add(set.id, "\(set.runs)", "\(set.steps)", "\(set.pld.epsilon)", "\(set.rdp.epsilon)")
        }
        return "delta \(delta)\n" + table.text
    }
}
