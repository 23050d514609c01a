import Operators
import TensorGraph

/// How the rows of a batch make up its samples: the weights with which their losses are differentiated.
struct SampleRows {
    private let perSample: Int
    /// Share of each row in its sample's loss: [rows].
    let shares: ValueID
    /// [B]
    let sampleLosses: ValueID

    /// - Parameter losses: [rows].
    init(_ perSample: Int, losses: ValueID, in builder: inout GraphBuilder) throws(GraphError) {
        self.perSample = perSample
        let rowCount = builder.shape(of: losses)[0]
        guard perSample > 1 else {
            shares = builder.addConstant(Constant([Float](repeating: 1, count: rowCount)))
            sampleLosses = losses
            return
        }
        shares = builder.addInput(PrivateStep.rowWeights, TensorType(.float32, [rowCount]), batch: nil)
        let weighted = try builder.view(
            try builder.multiply(losses, shares), [rowCount / perSample, perSample])
        sampleLosses = try builder.sum(weighted, axes: [1])
    }

    /// Every row's share times a number that its sample has: [rows].
    func shares(times factors: ValueID, in builder: inout GraphBuilder) throws(GraphError) -> ValueID {
        if perSample == 1 { return factors }
        let count = builder.shape(of: factors)[0]
        let repeated = try builder.broadcast(try builder.view(factors, [count, 1]), to: [count, perSample])
        return try builder.multiply(shares, try builder.view(repeated, [count * perSample]))
    }
}
