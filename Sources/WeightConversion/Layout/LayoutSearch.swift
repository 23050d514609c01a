/// Finds how the elements of one tensor lie in another that holds the same elements.
struct LayoutSearch {
    /// Elements of the graph's tensor and of the state_dict's, row by row.
    let graph: [Float]
    let state: [Float]
    /// Whether the tensor belongs to an operator that orders gates otherwise than PyTorch: 4 for LSTM, 3 for GRU.
    var gates: Int?
    /// Whether a matrix is rather transposed than not, where its elements leave it open.
    var prefersTransposed = false

    /// Axes that are permuted at most.
    private static let highestRank = 5

    /// Copies between the two views, which have equally many elements; nil if the elements lie in no known way.
    func copies(_ graphView: StridedView, _ stateView: StridedView) -> [ElementCopy]? {
        let (inner, outer) = (graphView.squeezed, stateView.squeezed)
        if let gates { return gateCopies(inner, outer, gates) }
        let wanted = outer.gathered(from: state)
        func found(_ view: StridedView) -> [ElementCopy]? {
            view.holds(wanted, in: graph) ? [ElementCopy(graph: view, state: outer)] : nil
        }
        var orders = inner.shape.count <= Self.highestRank ? Self.permutations(inner.shape.count) : []
        if prefersTransposed { orders = orders.reversed() }
        for order in orders where inner.permuted(order).shape == outer.shape {
            if let copies = found(inner.permuted(order)) { return copies }
        }
        if let copies = found(inner) { return copies }
        for order in orders {
            if let copies = found(inner.permuted(order)) { return copies }
        }
        guard outer.shape.count <= Self.highestRank else { return nil }
        let given = inner.gathered(from: graph)
        for order in Self.permutations(outer.shape.count) {
            let view = outer.permuted(order)
            if view.holds(given, in: state) { return [ElementCopy(graph: inner, state: view)] }
        }
        return nil
    }

    /// Where PyTorch's gates lie in ONNX's order: i, f, g, o in i, o, f, c, and r, z, n in z, r, h.
    private func gateCopies(_ graphView: StridedView, _ stateView: StridedView, _ gates: Int) -> [ElementCopy]? {
        let places = gates == 4 ? [0, 2, 3, 1] : [1, 0, 2]
        guard graphView.shape == stateView.shape, let rows = stateView.shape.first, rows % gates == 0 else {
            return nil
        }
        let size = rows / gates
        var copies: [ElementCopy] = []
        for (gate, place) in places.enumerated() {
            let inner = graphView.slice(axis: 0, place * size..<(place + 1) * size)
            let outer = stateView.slice(axis: 0, gate * size..<(gate + 1) * size)
            guard inner.holds(outer.gathered(from: state), in: graph) else { return nil }
            copies.append(ElementCopy(graph: inner, state: outer))
        }
        return copies
    }

    /// All orders of `count` axes; the first keeps them, the last reverses them.
    static func permutations(_ count: Int) -> [[Int]] {
        var orders: [[Int]] = [[]]
        for axis in 0..<count {
            orders = orders.flatMap { order in
                (0...order.count).map { order.inserting(axis, at: order.count - $0) }
            }
        }
        return orders.sorted { $0.lexicographicallyPrecedes($1) }
    }
}

extension [Int] {
    fileprivate func inserting(_ element: Int, at position: Int) -> [Int] {
        var copy = self
        copy.insert(element, at: position)
        return copy
    }
}
