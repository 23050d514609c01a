import Training

/// The biases of recurrent layers, of which ONNX stores all of a layer in one tensor, [directions, 2 gates hidden]: those
/// of the inputs, then those of the state. Biases that are equal or filled with one number cannot be told by their values; here
/// they are found by the weights of the same layer, whose names in PyTorch's modules differ by one word.
enum RecurrentBiases {
    struct Place {
        /// Positions of the bias in the state_dict and of the tensor in the graph.
        var state: Int
        var graph: Int
        var view: StridedView
    }

    static func places(_ states: [StateTensor], _ graphs: [GraphTensor], _ candidates: [Candidate]) -> [Place] {
        let positions = Dictionary(
            states.enumerated().map { ($1.programName, $0) }, uniquingKeysWith: { first, _ in first })
        // Of layers with equal weights each is sought where the most speaks for it.
        let best = Dictionary(candidates.map { ($0.state, $0.evidence) }, uniquingKeysWith: max)
        var places: [Place] = []
        for (graph, tensor) in graphs.enumerated() {
            guard let place = tensor.firstPlace, place.position.input == 3, tensor.shape.count == 2,
                ["LSTM", "GRU", "RNN"].contains(place.operatorType)
            else { continue }
            let half = tensor.shape[1] / 2
            for candidate in candidates {
                let weights = graphs[candidate.graph]
                let name = states[candidate.state].programName
                guard weights.firstPlace?.position.node == place.position.node, weights.shape.count == 3,
                    candidate.evidence == best[candidate.state],
                    weights.firstPlace?.position.input == 1, TensorNaming.leaf(of: name).hasPrefix("weight_ih_l")
                else { continue }
                let first = candidate.copies.map(\.graph.offset).min()!
                let direction = first / (weights.shape[1] * weights.shape[2])
                let prefix = name.dropLast(TensorNaming.leaf(of: name).count)
                let layer = TensorNaming.leaf(of: name).dropFirst("weight_ih".count)
                for (part, word) in ["bias_ih", "bias_hh"].enumerated() {
                    guard let state = positions["\(prefix)\(word)\(layer)"], states[state].shape == [half] else {
                        continue
                    }
                    places.append(
                        Place(
                            state: state, graph: graph,
                            view: StridedView(shape: [half], offset: (2 * direction + part) * half)))
                }
            }
        }
        return places
    }
}
