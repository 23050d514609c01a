/// Places the nodes of an acyclic graph in layers, each below what it reads (Sugiyama, Tagawa and Toda 1981).
struct GraphLayout {
    struct Place: Hashable {
        var layer: Int
        /// Horizontal position in units of a node's width.
        var column: Double
    }

    private(set) var places: [Place]
    private(set) var layerCount = 0
    /// The columns in use begin at 0.
    private(set) var width = 0.0

    /// - Parameter inputs: for each node the nodes it reads, all of them earlier in the list.
    init(inputs: [[Int]]) {
        places = inputs.map { _ in Place(layer: 0, column: 0) }
        guard !inputs.isEmpty else { return }
        var layers: [[Int]] = []
        for (node, sources) in inputs.enumerated() {
            let layer = (sources.map { places[$0].layer }.max() ?? -1) + 1
            places[node].layer = layer
            if layer == layers.count { layers.append([]) }
            layers[layer].append(node)
        }
        layerCount = layers.count
        var readers: [[Int]] = inputs.map { _ in [] }
        for (node, sources) in inputs.enumerated() { for source in sources { readers[source].append(node) } }
        // Down and up a few times, each node as near as its neighbours allow to where they are.
        for sweep in 0..<4 {
            let isDown = sweep % 2 == 0
            for layer in isDown ? Array(layers.indices) : layers.indices.reversed() {
                arrange(&layers[layer], near: isDown ? inputs : readers)
            }
        }
        let first = places.map(\.column).min()!
        for node in places.indices { places[node].column -= first }
        width = places.map(\.column).max()! + 1
    }

    /// Orders a layer by the mean column of its neighbours and keeps its nodes apart.
    private mutating func arrange(_ layer: inout [Int], near neighbours: [[Int]]) {
        let wished = layer.map { node in
            let columns = neighbours[node].map { places[$0].column }
            return columns.isEmpty ? places[node].column : columns.reduce(0, +) / Double(columns.count)
        }
        let order = layer.indices.sorted { (wished[$0], $0) < (wished[$1], $1) }
        var last = -Double.infinity
        var shift = 0.0
        for index in order {
            let column = max(wished[index], last + 1)
            shift += wished[index] - column
            places[layer[index]].column = column
            last = column
        }
        // Keeping apart has moved nodes to the right only; as a whole the layer stays where it wants to be.
        for node in layer { places[node].column += shift / Double(layer.count) }
        layer = order.map { layer[$0] }
    }
}
