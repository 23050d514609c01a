import Operators

/// A place where a tensor is read, with the `Identity` nodes that hand it on looked through.
struct TensorSite {
    /// The reading inputs from the tensor itself on; all but the last are of `Identity` nodes.
    var path: [TensorUse]
    /// The value that is read in the end: the tensor, or the output of the last `Identity`.
    var name: String

    var use: TensorUse { path.last! }
}

extension GraphIndex {
    func sites(of tensor: String) -> [TensorSite] {
        var sites: [TensorSite] = []
        var waiting = uses(of: tensor).reversed().map { TensorSite(path: [$0], name: tensor) }
        while let site = waiting.popLast() {
            let node = node(site.use)
            if node.operatorType == "Identity", let output = node.outputs.first, !uses(of: output).isEmpty {
                waiting += uses(of: output).reversed().map { TensorSite(path: site.path + [$0], name: output) }
            } else {
                sites.append(site)
            }
        }
        return sites
    }
}
