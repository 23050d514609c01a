import ONNXFormat
import Operators
import Training

/// Finds, by their elements alone, which tensors of a state_dict may be which of a graph.
///
/// A tensor filled with one number is only found whole: its parts would be anywhere.
struct CandidateSearch {
    private let states: [StateTensor]
    private let graphs: [GraphTensor]
    private let file: WeightFile
    private let releaseMemory: () -> Void
    private(set) var candidates: [Candidate] = []
    /// Tensors filled with one number.
    private(set) var filledStates: Set<Int> = []
    private(set) var filledGraphs: Set<Int> = []
    private var statePrints: [Key: Fingerprint] = [:]
    private var graphPrints: [Fingerprint] = []

    /// A tensor of the state_dict, rounded to an element type.
    private struct Key: Hashable {
        var state: Int
        var type: ONNXElementType
    }

    /// - Throws: `DataError` or `ONNXFormatError` for a tensor whose bytes are damaged.
    init(
        _ states: [StateTensor], in file: WeightFile, _ graphs: [GraphTensor], releaseMemory: @escaping () -> Void
    ) throws {
        self.states = states
        self.graphs = graphs
        self.file = file
        self.releaseMemory = releaseMemory
        try takeFingerprints()
        try findWhole()
        try findParts()
        try findRecurrentBiases()
    }

    private mutating func takeFingerprints() throws {
        var prints: [String: (print: Fingerprint, isFilled: Bool)] = [:]
        for (position, tensor) in graphs.enumerated() {
            let source = tensor.original.name
            if prints[source] == nil {
                let values = try FloatElements.ofGraph(tensor)
                prints[source] = (Fingerprint(values), FloatElements.fill(of: values) != nil)
                releaseMemory()
            }
            graphPrints.append(prints[source]!.print)
            if prints[source]!.isFilled { filledGraphs.insert(position) }
        }
        let types = Set(graphs.map(\.original.dataType))
        for (position, tensor) in states.enumerated() where tensor.type.isFloatingPoint {
            let array = try file.array(tensor.name)
            for type in types {
                let values = FloatElements.ofState(array, roundedTo: type)
                statePrints[Key(state: position, type: type)] = Fingerprint(values)
                if FloatElements.fill(of: values) != nil { filledStates.insert(position) }
            }
        }
    }

    private func print(_ state: Int, like graph: Int) -> Fingerprint? {
        statePrints[Key(state: state, type: graphs[graph].original.dataType)]
    }

    private mutating func findWhole() throws {
        var graphsByPrint: [Fingerprint: [Int]] = [:]
        for (position, print) in graphPrints.enumerated() where print.count > 0 {
            graphsByPrint[print, default: []].append(position)
        }
        for state in states.indices {
            var found = Set<Int>()
            for type in Set(graphs.map(\.original.dataType)) {
                guard let print = statePrints[Key(state: state, type: type)] else { continue }
                found.formUnion((graphsByPrint[print] ?? []).filter { graphs[$0].original.dataType == type })
            }
            guard !found.isEmpty else { continue }
            let array = try file.array(states[state].name)
            var layouts: [String: [ElementCopy]?] = [:]
            for graph in found.sorted() {
                let tensor = graphs[graph]
                let key = "\(tensor.original.name) \(tensor.isRatherTransposed)"
                if layouts[key] == nil {
                    let values = try FloatElements.ofGraph(tensor)
                    releaseMemory()
                    let search = LayoutSearch(
                        graph: values, state: FloatElements.ofState(array, roundedTo: tensor.original.dataType),
                        gates: tensor.gates, prefersTransposed: tensor.isRatherTransposed)
                    layouts[key] = search.copies(
                        StridedView(shape: tensor.shape), StridedView(shape: states[state].shape))
                }
                if let copies = layouts[key]! { add(state, graph, copies) }
            }
        }
    }

    /// Adds biases of recurrent layers by their places: those of one layer may be equal, or filled with one number.
    private mutating func findRecurrentBiases() throws {
        for place in RecurrentBiases.places(states, graphs, candidates) {
            let tensor = graphs[place.graph]
            let array = try file.array(states[place.state].name)
            let search = LayoutSearch(
                graph: try FloatElements.ofGraph(tensor),
                state: FloatElements.ofState(array, roundedTo: tensor.original.dataType), gates: tensor.gates)
            if let copies = search.copies(place.view, StridedView(shape: states[place.state].shape)) {
                candidates.append(Candidate(state: place.state, graph: place.graph, copies: copies, evidence: .named))
            }
        }
    }

    private mutating func add(_ state: Int, _ graph: Int, _ copies: [ElementCopy]) {
        let (tensor, names) = (states[state], graphs[graph].programNames)
        var candidate = Candidate(
            state: state, graph: graph, copies: copies, evidence: Evidence(tensor, graphs[graph]))
        let readers = graphs[graph].modules
        candidate.isShared =
            readers.contains(tensor.module) && names.allSatisfy { !readers.contains(TensorNaming.module(of: $0)) }
        candidates.append(candidate)
    }

    /// Looks for tensors without a counterpart inside of each other.
    private mutating func findParts() throws {
        let matchedStates = Set(candidates.map(\.state))
        let matchedGraphs = Set(candidates.map(\.graph))
        let openStates = states.indices.filter {
            states[$0].type.isFloatingPoint && !matchedStates.contains($0) && !filledStates.contains($0)
        }
        let openGraphs = graphs.indices.filter { !matchedGraphs.contains($0) && !filledGraphs.contains($0) }
        for graph in openGraphs {
            let tensor = graphs[graph]
            let prints = Dictionary(grouping: openStates) { print($0, like: graph)! }
            guard !prints.isEmpty else { continue }
            let values = try FloatElements.ofGraph(tensor)
            for hit in SliceSearch.hits(for: Set(prints.keys), in: values, shape: tensor.shape) {
                for state in prints[hit.part]! {
                    let array = try file.array(states[state].name)
                    let search = LayoutSearch(
                        graph: values, state: FloatElements.ofState(array, roundedTo: tensor.original.dataType),
                        gates: tensor.gates, prefersTransposed: false)
                    if let copies = search.copies(hit.view, StridedView(shape: states[state].shape)) {
                        add(state, graph, copies)
                    }
                }
            }
        }
        let prints = Dictionary(grouping: openGraphs) { graphPrints[$0] }
        for state in openStates where !prints.isEmpty {
            let array = try file.array(states[state].name)
            for type in Set(openGraphs.map { graphs[$0].original.dataType }) {
                let values = FloatElements.ofState(array, roundedTo: type)
                for hit in SliceSearch.hits(for: Set(prints.keys), in: values, shape: states[state].shape) {
                    for graph in prints[hit.part]! where graphs[graph].original.dataType == type {
                        let search = LayoutSearch(
                            graph: try FloatElements.ofGraph(graphs[graph]), state: values,
                            prefersTransposed: graphs[graph].isRatherTransposed)
                        if let copies = search.copies(StridedView(shape: graphs[graph].shape), hit.view) {
                            add(state, graph, copies)
                        }
                    }
                }
            }
        }
    }
}
