import Operators
import TensorGraph
import Training

/// What training made of a state_dict's tensors, by the candidates chosen for them.
struct TrainedValues {
    private let states: [StateTensor]
    private let graphs: [GraphTensor]

    init(_ states: [StateTensor], _ graphs: [GraphTensor]) {
        self.states = states
        self.graphs = graphs
    }

    /// Elements of a tensor, not-a-number where no candidate has them.
    private func values(_ state: Int, _ candidates: [Candidate]) throws -> [Float] {
        var values = [Float](repeating: .nan, count: states[state].count)
        for candidate in candidates {
            let source = try graphs[candidate.graph].current.load().floatValues
            for copy in candidate.copies { copy.state.scatter(copy.graph.gathered(from: source), into: &values) }
        }
        return values
    }

    /// Whether a candidate would hand on what those that were chosen for its tensor do.
    func agree(_ candidate: Candidate, with chosen: [Candidate]) throws -> Bool {
        if chosen.isEmpty { return false }
        return try zip(values(candidate.state, [candidate]), values(candidate.state, chosen)).allSatisfy { own, other in
            own == other || own.isNaN
        }
    }

    /// Tensors that the state_dict has under several names but that were trained apart, each with the names.
    func torn(_ choices: [[Candidate]], _ isChanged: [Bool], in reference: WeightFile) throws -> [Int: String] {
        let positions = Dictionary(
            states.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
        var torn: [Int: String] = [:]
        for (state, tensor) in states.enumerated() {
            let name = reference.firstName(of: tensor.name)
            guard name != tensor.name, let first = positions[name], !choices[state].isEmpty, !choices[first].isEmpty,
                Set(choices[state].map(\.graph)) != Set(choices[first].map(\.graph)),
                (choices[state] + choices[first]).contains(where: { isChanged[$0.graph] })
            else { continue }
            let differ = try zip(values(state, choices[state]), values(first, choices[first])).contains { own, other in
                own != other && !(own.isNaN && other.isNaN)
            }
            if differ { torn[state] = "'\(name)' and '\(tensor.name)'" }
        }
        return torn
    }
}
