/// What became of every tensor of a conversion.
public struct ConversionReport: Sendable, Encodable {
    public struct Mapped: Sendable, Encodable {
        /// Name in the state_dict.
        public var name: String
        /// Tensors of the graph.
        public var tensors: [String]
        /// How the elements lie there: "same", "permuted", "reordered" or "partial".
        public var layout: String
    }

    /// A tensor with the reason for what became of it.
    public struct Noted: Sendable, Encodable {
        public var name: String
        public var reason: String
    }

    public var mapped: [Mapped] = []
    /// Tensors that keep the values they had.
    public var kept: [Noted] = []
    /// Tensors whose new values cannot be told.
    public var missing: [Noted] = []

    public var isComplete: Bool { missing.isEmpty }
}

extension ConversionReport.Mapped {
    init(_ candidates: [Candidate], _ state: StateTensor, _ graphs: [GraphTensor]) {
        name = state.name
        tensors = candidates.map { graphs[$0.graph].name }
        let copies = candidates.flatMap(\.copies)
        if copies.reduce(0, { $0 + $1.state.count }) < state.count {
            layout = "partial"
        } else if copies.contains(where: { $0.state.count < state.count }) {
            layout = "reordered"
        } else {
            layout = copies.allSatisfy { $0.graph.isContiguous && $0.state.isContiguous } ? "same" : "permuted"
        }
    }
}
